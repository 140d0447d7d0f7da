/* The parts that pages are made of. All return nodes; `source` is an entry of feed.data.

   panel({title, source, body, empty, clear, actions})   one box with every state; body: (data, meta) => nodes
   badge(status, label)  chip(text)  stat({label, value, href, note, tone})  bar(part, whole)  facts([[name, value]…])
   control(label, run, {danger primary small title key})   busy from click to answer; failures become a toast
   copy(text)  timeCell(s)  code(value)  menu(label, items)  exportMenu(name, rows, columns)
   tabs({label, items, chosen, onchoose})  pager({page, size, total, onset})
   filters(fields, query, set)   → {node, active, clear, none(total)}; field: {name, label, type: text | choice | choices | time, options, placeholder}
   toast(text, {error, undo})    run(work) reports what work() returns or throws, and refetches */

import { ApiError, now, session } from './api.js';
import { h, s, update } from './dom.js';
import { ago, count, csv, json, moment, percent, zone } from './format.js';
import { feed } from './live.js';

const GLYPH = {
  ready: '○', processing: '▶', paused: '‖', scheduled: '◷', deferred: '⋯', retry: '↻', completed: '✓', active: '✓', dead_letter: '✕',
  failed: '!', stale: '!', canceled: '–', stopped: '–', unknown: '–', orphaned: '–', stopping: '‖', expired: '–', disabled: '‖',
};
const LOOK = { stopping: 'paused', active: 'completed', stale: 'failed', stopped: 'canceled', unknown: 'canceled', orphaned: 'canceled',
  expired: 'canceled', paused: 'processing', disabled: 'processing' };
const WORDS = { dead_letter: 'dead letter' };

export const STATUSES = ['ready', 'scheduled', 'deferred', 'processing', 'retry', 'completed', 'dead_letter', 'canceled', 'stopped', 'failed'];
export const glyph = (status) => GLYPH[status] || '–';
export const look = (status) => LOOK[status] || (GLYPH[status] ? status : 'canceled');
export const word = (status) => WORDS[status] || String(status);
export const badge = (status, label = word(status)) => h('span', { class: `badge st-${look(status)}` },
  h('span.glyph', { 'aria-hidden': 'true' }, glyph(status)), label);
export const chip = (text, href, title) => h(href ? 'a' : 'span', { class: 'chip', href, title }, text);
export const muted = (...kids) => h('span.muted', kids);

export const icon = (name) => s('svg', { viewBox: '0 0 16 16', class: 'icon', 'aria-hidden': 'true' }, s('use', { href: `#i-${name}` }));

// ------------------------------------------------------------------ toasts and actions

export const toasts = [];
let serial = 0;

export function toast(text, { error = false, undo = null } = {}) {
  const item = { id: ++serial, text, error, undo, close: () => { toasts.splice(toasts.indexOf(item) >>> 0, 1); update(); } };
  toasts.push(item);
  if (toasts.length > 4) toasts.shift();
  if (!error) setTimeout(item.close, undo ? 10000 : 5000);
  update();
}

/** Does work, tells what came of it, and reads the page anew. `work` returns text, {text, undo} or nothing. */
export async function run(work) {
  try {
    const said = await work();
    if (said) toast(said.text || said, { undo: said.undo });
    if (said) feed.refresh();
    return said;
  } catch (error) {
    if (!(error instanceof ApiError)) console.error(error);
    if (error.status === 401) feed.onsignedout();
    if (error.status === 403) feed.onforbidden();
    if (error.status === 409 || error.status === 404) feed.refresh();
    toast(error.code === 'FORBIDDEN' ? `${error.message} (you are ${session.me?.role})` : error.message, { error: true });
    return null;
  }
}

const busy = new Set();
export const blocked = () => (feed.redisSince ? 'Redis is away' : '');

export function control(label, work, { danger, primary, small, title, key = '', disabled, name } = {}) {
  const id = `${name || label}|${key}`, reason = blocked();
  const onclick = async () => {
    if (busy.has(id)) return;
    busy.add(id); update();
    try { await run(work); } finally { busy.delete(id); update(); }
  };
  return h('button', { key: 'c' + id, onclick, disabled: Boolean(disabled || reason) || busy.has(id), 'aria-busy': busy.has(id) && 'true',
    'aria-label': name, class: [danger && 'danger', primary && 'primary', small && 'small'].filter(Boolean).join(' ') || null, title: reason || title }, label);
}

// ------------------------------------------------------------------ boxes and states

const state = (kind, title, ...more) => h('div', { class: `state ${kind}` }, h('p.state-title', title), more);
const retry = () => h('button', { onclick: () => feed.refresh() }, 'Retry');

/** What stands in a panel's place when there is nothing to show of a source; null if there is. */
export function missing(source, gone) {
  const { data, error } = source || {};
  if (error?.status === 403) {
    return state('forbidden', 'You may not see this', h('p', `Your role is ${session.me?.role || 'unknown'}; this needs the role admin.`));
  }
  if (error?.status === 404) return state('gone', gone?.text || error.message, gone?.href && h('p', h('a', { href: gone.href }, gone.label)));
  if (data !== undefined) return null;
  if (!error) return h('div.skeleton', { 'aria-label': 'Loading' }, h('i'), h('i'), h('i'));
  if (error.code === 'REDIS_UNAVAILABLE') return state('error', 'Redis is away', h('p', 'This appears as soon as it is back.'));
  return state('error', error.message, h('p', h('code', error.code)), retry());
}

export function panel({ title, source, body, empty, clear, actions, gone, id, flush, bare }) {
  const none = missing(source, gone);
  const late = source && (source.error || (feed.state().name !== 'live' && feed.state().name !== 'paused' && feed.state().name !== 'loading'));
  const waits = source && !source.error && source.busy;
  const age = source?.at ? Math.round((performance.now() - source.at) / 1000) : 0;
  const hollow = !none && empty && (Array.isArray(source.data) ? !source.data.length : false);
  return h('section', { class: `panel${flush ? ' flush' : bare ? ' bare' : ''}`, id, 'aria-busy': waits || (none && !source?.error) ? 'true' : null, 'aria-label': title ? null : id },
    (title || actions) && h('header', title && h('h2', title),
      late && source.data !== undefined && h('span.late', `${age} s old`),
      actions && h('div.actions', actions)),
    source?.error && source.data !== undefined && !blocked() && source.error.status && source.error.status !== 404 && source.error.status !== 403 &&
      h('div.inline-error', { role: 'alert' }, h('span', source.error.message, ' ', h('code', source.error.code)), retry()),
    h('div', { class: late && source.data !== undefined ? 'stale' : waits && source.data !== undefined ? 'waits' : null },
      none || (hollow ? (clear ? state('empty', clear.text, h('button', { onclick: clear.run }, 'Clear filters')) : state('empty', empty)) : body(source?.data, source?.meta || {})),
      !none && source?.meta?.truncated && h('p.note', `The first ${count(source.meta.scanned || 1000)} were looked at; narrow the filter to see all.`)));
}

export const stat = ({ label, value, href, note, tone }) => h(href ? 'a' : 'div', { class: `stat${tone ? ` tone-${tone}` : ''}`, href },
  h('span.stat-label', label), h('span.stat-value', value), note && h('span.stat-note', note));

export const bar = (part, whole, label = `${count(part)} of ${count(whole)}`) => h('span.meter', { title: `${percent(part, whole)} %` },
  s('svg', { viewBox: '0 0 100 6', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    s('rect.track', { width: '100', height: '6', rx: '3' }), s('rect.fill', { width: String(Math.min(100, percent(part, whole))), height: '6', rx: '3' })),
  h('span', label));

export const facts = (pairs) => h('dl.facts', pairs.filter((pair) => pair && pair[1] != null && pair[1] !== false && pair[1] !== '').map(([name, value]) =>
  h('div', { key: name }, h('dt', name), h('dd', value))));

export function timeCell(at, alone = false) {
  if (at == null) return muted('–');
  const other = zone() === 'utc' ? moment(at) : `${moment(at)} · ${moment(at, 'UTC')}`;
  return h('time', { datetime: new Date(at * 1000).toISOString(), title: other }, alone ? moment(at) : ago(at, now()));
}

export const copy = (text, what = 'id') => h('button', { class: 'icon-button copy', 'aria-label': `Copy ${what}`, title: `Copy ${what}`, onclick: async () => {
  try { await navigator.clipboard.writeText(text); toast('Copied'); } catch { toast('The browser did not allow copying', { error: true }); }
} }, icon('copy'));

export const code = (value, { label = 'Text', plain = false } = {}) => {
  const shown = plain ? String(value) : json(value, 2);
  return h('div.code', h('div.code-tools', h('button', { class: 'small quiet', 'aria-pressed': 'false', onclick: (event) => {
    const on = event.currentTarget.closest('.code').classList.toggle('wrap');
    event.currentTarget.setAttribute('aria-pressed', String(on));
  } }, 'Wrap'), copy(shown, label)), h('pre', { tabindex: '0', role: 'region', 'aria-label': label }, shown));
};

export const menu = (label, items, { name, align = 'end' } = {}) => h('details', { class: `menu ${align}`, onkeydown: (event) => {
  if (event.key === 'Escape' && event.currentTarget.open) { event.stopPropagation(); event.currentTarget.open = false; event.currentTarget.firstChild.focus(); }
}, ontoggle: ({ currentTarget: { open, firstChild, lastChild } }) => {
  // A menu in a table would be cut off by it, so it is placed on the window.
  if (!open || getComputedStyle(lastChild).position !== 'fixed') return;
  const at = firstChild.getBoundingClientRect(), low = at.bottom + 4 + lastChild.offsetHeight > innerHeight;
  lastChild.style.top = `${low ? at.top - 4 - lastChild.offsetHeight : at.bottom}px`;
  lastChild.style.right = `${document.documentElement.clientWidth - at.right}px`;
} }, h('summary', { 'aria-label': name }, label), h('div.menu-items', items));

export function exportMenu(name, rows, columns) {
  const save = (kind, type, body) => {
    const url = URL.createObjectURL(new Blob([body], { type }));
    const a = Object.assign(document.createElement('a'), { href: url, download: `gqm-${name}.${kind}` });
    a.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };
  const cells = columns.filter((column) => column.text !== null);
  const cell = (row, { key, text }) => (text ? text(row) : typeof row[key] === 'object' && row[key] ? json(row[key]) : row[key]);
  return menu(['Export', icon('more')], [
    h('button', { onclick: () => save('csv', 'text/csv', csv([cells.map((c) => c.label), ...rows.map((row) => cells.map((c) => cell(row, c)))])) }, 'This page as CSV'),
    h('button', { onclick: () => save('json', 'application/json', json(rows, 2)) }, 'This page as JSON')]);
}

// ------------------------------------------------------------------ choosing

export const tabs = ({ label, items, chosen, onchoose }) => h('div.tabs', { role: 'tablist', 'aria-label': label, onkeydown: (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1, Home: -items.length, End: items.length }[event.key];
  if (!step) return;
  event.preventDefault();
  const at = items.findIndex((item) => item.id === chosen);
  const to = Math.abs(step) > 1 ? (step < 0 ? 0 : items.length - 1) : (at + step + items.length) % items.length;
  event.currentTarget.children[to].focus();
  onchoose(items[to].id);
} }, items.map(({ id, name, note }) => h('button', { key: id, role: 'tab', 'aria-selected': String(id === chosen), tabindex: id === chosen ? '0' : '-1', onclick: () => onchoose(id) },
  name, note != null && h('span.count', note))));

export function pager({ page, size, total, more = false, onset }) {
  const last = Math.max(1, Math.ceil(total / size));
  if (total <= 20 && page === 1) return null;
  return h('nav.pager', { 'aria-label': 'Pages' },
    h('button', { id: 'previous-page', disabled: page <= 1, onclick: () => onset({ page: page - 1 }) }, 'Previous'),
    h('span', `Page ${count(page)} of ${count(last)}${more ? '+' : ''}`),
    h('button', { id: 'next-page', disabled: page >= last, onclick: () => onset({ page: page + 1 }) }, 'Next'),
    h('label.size', h('span', 'Rows'), h('select', { value: String(size), onchange: (event) => onset({ page: 1, size: +event.target.value }) },
      [20, 50, 100].map((n) => h('option', { value: String(n) }, n)))));
}

let typing = 0;
const field = (spec, query, set) => {
  const { name, label, type = 'text', options, placeholder } = spec, value = query[name];
  const id = `filter-${name}`, wrap = (input) => h('label', { class: `field ${type}`, for: id, key: name }, h('span', label), input);
  if (type === 'choice') {
    return wrap(h('select', { id, value: String(value), onchange: (e) => set({ [name]: e.target.value, page: 1 }) },
      options.map(([v, text]) => h('option', { value: v, key: v }, text))));
  }
  if (type === 'choices') {
    const chosen = new Set(value);
    const flip = (v) => set({ [name]: chosen.has(v) ? value.filter((o) => o !== v) : [...value, v], page: 1 });
    return h('div.field', { key: name }, h('span', { id }, label), menu([value.length ? (value.length > 2 ? `${value.length} chosen` : value.map(word).join(', ')) : 'All', icon('more')],
      options.map(([v, text]) => h('label.check', { key: v }, h('input', { type: 'checkbox', checked: chosen.has(v), onchange: () => flip(v) }), text)), { name: `${label}: ${value.length ? value.map(word).join(', ') : 'all'}`, align: 'start' }));
  }
  const put = (e, replace) => { clearTimeout(typing); set({ [name]: spec.list ? e.target.value.split(',').map((v) => v.trim()).filter(Boolean) : e.target.value.trim(), page: 1 }, replace); };
  return wrap(h('input', { id, type: 'search', value: spec.list ? value.join(',') : value, placeholder, autocomplete: 'off', spellcheck: 'false', maxlength: '256',
    oninput: (e) => { clearTimeout(typing); typing = setTimeout(() => put(e, true), 300); }, onchange: (e) => put(e, true) }));
};

export function filters(fields, query, set, defaults = {}) {
  const on = fields.filter(({ name }) => query[name] != null && String(query[name]) !== String(defaults[name] ?? ''));
  const clear = () => set(Object.fromEntries([...fields.map(({ name }) => [name, defaults[name] ?? (Array.isArray(query[name]) ? [] : '')]), ['page', 1]]));
  const inner = [h('div.filter-fields', fields.map((spec) => field(spec, query, set))),
    on.length > 0 && h('button', { class: 'quiet', onclick: clear }, 'Clear filters')];
  const none = (total) => state('empty', `0 of ${count(total)} match`, h('button', { onclick: clear }, 'Clear filters'));
  return { active: on.length > 0, clear, none, node: h('details.filters', { open: innerWidth >= 600 || on.length > 0 },
    h('summary', on.length ? `Filters (${on.length})` : 'Filters'), h('div.filter-bar', { role: 'search' }, inner)) };
}
