/* The parts that pages are made of; all return nodes. `source` is an entry of feed.data. */

import {ApiError, now, session} from './api.js';
import {h, s, update} from './dom.js';
import {ago, count, csv, json, moment, percent, short, zone} from './format.js';
import {feed} from './live.js';
import {link} from './router.js';

const GLYPH = {
  ready: '○', processing: '▶', paused: '‖', scheduled: '◷', deferred: '⋯', retry: '↻', completed: '✓', active: '✓', dead_letter: '✕', failed: '!', stale: '!', stopping: '‖', disabled: '‖',
};
const LOOK = {stopping: 'processing', paused: 'processing', disabled: 'processing', active: 'completed', stale: 'failed'};

export const STATUSES = ['ready', 'scheduled', 'deferred', 'processing', 'retry', 'completed', 'dead_letter', 'canceled', 'stopped', 'failed'];
export const glyph = (status) => GLYPH[status] || '–';
export const look = (status) => LOOK[status] || (GLYPH[status] ? status : 'canceled');
export const word = (status) => String(status).replace('_', ' ');
export const badge = (status, label = word(status)) => h(`span.badge.st-${look(status)}`, h('span.glyph', {'aria-hidden': 'true'}, glyph(status)), label);
export const chip = (text, href) => h(href ? 'a.chip' : 'span.chip', {href}, text);
export const anchor = (page, id, text = id, query) => h('a', {href: link(page, id, query), title: text === id ? null : id}, text);
export const jobLink = (id) => anchor('jobs', id, short(id)), queueLink = ({queue}) => anchor('queues', queue);
export const icon = (name) => s('svg.icon', {'aria-hidden': 'true'}, s('use', {href: `#i-${name}`}));

// ------------------------------------------------------------------ messages and actions

export const toasts = [];
let serial = 0;

export function toast(text, {error = false, undo = null} = {}) {
  const close = () => { const at = toasts.indexOf(item); if (at >= 0) toasts.splice(at, 1); update(); };
  const item = {id: ++serial, text, error, undo, close};
  toasts.push(item);
  if (!error) setTimeout(close, undo ? 10000 : 5000);
  update();
}

export async function run(work) {
  try {
    const said = await work();
    if (!said) return;
    toast(said.text || said, {undo: said.undo});
    feed.refresh();
  } catch (error) {
    if (!(error instanceof ApiError)) console.error(error);
    if (error.status === 401) feed.onsignedout();
    if (error.status === 403) feed.onforbidden();
    if (error.status === 409 || error.status === 404) feed.refresh();
    toast(error.message, {error: true});
  }
}

const busy = new Set();

export function control(label, work, {danger, primary, small, title, key = '', name, disabled} = {}) {
  const id = `${name || label}|${key}`, reason = feed.redisSince && 'Redis is away', waits = busy.has(id);
  const onclick = async ({currentTarget: button}) => {
    if (busy.has(id)) return;
    busy.add(id); update();
    await run(work);
    busy.delete(id); update();
    // A dialog could not give the focus back while the button was busy.
    setTimeout(() => { if (document.activeElement === document.body) button.focus(); });
  };
  return h('button', {key: `c${id}`, onclick, disabled: Boolean(disabled || reason || waits), 'aria-busy': waits && 'true', 'aria-label': name, title: reason || title,
    class: danger ? 'danger' : primary ? 'primary' : small ? 'small' : null}, label);
}

// ------------------------------------------------------------------ boxes and states

const state = (title, ...more) => h('div.state', h('p.state-title', title), more);
const retry = () => h('button', {onclick: () => feed.refresh()}, 'Retry');

function missing({data, error}, gone) {
  if (error?.status === 403) return state('You may not see this', h('p', `Your role is ${session.me?.role}; this needs the role admin.`));
  if (error?.status === 404) return state(gone?.text || error.message, gone && h('a', {href: gone.href}, gone.label));
  if (data !== undefined) return null;
  if (!error) return h('div.skeleton', h('i'), h('i'), h('i'));
  return state(error.code === 'REDIS_UNAVAILABLE' ? 'Redis is away' : error.message, h('code', error.code), retry());
}

export function panel({id, title, source, body, empty, actions, gone, flush, bare}) {
  const none = source && missing(source, gone), kept = source?.data !== undefined && !none, {error, meta = {}} = source || {};
  const late = kept && (error || ['stale', 'offline', 'slowed'].includes(feed.state().name));
  return h('section.panel', {id, class: flush ? 'flush' : bare ? 'bare' : '', 'aria-busy': source && !error && (source.busy || !kept) ? 'true' : null},
    (title || actions) && h('header', h('h2', title), late && h('span.late', `${Math.round((performance.now() - source.at) / 1000)} s old`), actions && h('div.actions', actions)),
    kept && error?.status && !feed.redisSince && h('div.inline-error', {role: 'alert'}, h('span', error.message, ' ', h('code', error.code)), retry()),
    h('div', {class: late ? 'dimmed' : null}, none || (empty && !source.data.length ? state(empty) : body(source?.data, meta)),
      kept && meta.truncated && h('p.note', `The first ${count(meta.scanned || meta.limit)} were looked at; narrow the filter to see all.`)));
}

export const cards = (rows) => h('div.stats', rows.map(([label, n, href, note, tone]) => h(href ? 'a.stat' : 'div.stat', {key: label, href, class: tone}, h('span', label), h('b', count(n)), note && h('small', note))));
export const bar = (part, whole, label = `${count(part)} of ${count(whole)}`) => h('span.meter', h('progress', {value: percent(part, whole) / 100, 'aria-hidden': 'true'}), h('span', label));
export const facts = (pairs) => h('dl.facts', pairs.filter((pair) => pair && pair[1] != null && pair[1] !== false && pair[1] !== '').map(([name, value]) => h('div', {key: name}, h('dt', name), h('dd', value))));

export function timeCell(at, absolute) {
  if (at == null) return '–';
  return h('time', {datetime: new Date(at * 1000).toISOString(), title: zone() ? moment(at) : `${moment(at)}, ${moment(at, 'UTC')}`}, absolute ? moment(at) : ago(at, now()));
}

export const copy = (text, what = 'id') => h('button.icon-button.copy', {'aria-label': `Copy ${what}`, title: `Copy ${what}`, onclick: async () => {
  try { await navigator.clipboard.writeText(text); toast('Copied'); } catch { toast('The browser did not allow copying', {error: true}); }
}}, icon('copy'));

export function code(value, {label = 'Text', plain} = {}) {
  const shown = plain ? String(value) : json(value, 2);
  const wrap = ({currentTarget: button}) => button.setAttribute('aria-pressed', button.closest('.code').classList.toggle('wrap'));
  return h('div.code', h('div.code-tools', h('button.small.quiet', {'aria-pressed': 'false', onclick: wrap}, 'Wrap'), copy(shown, label)), h('pre', {tabindex: '0', role: 'region', 'aria-label': label}, shown));
}

export const menu = (label, items, {name, start} = {}) => h('details.menu', {class: start && 'start', onkeydown: ({key, currentTarget: el}) => {
  if (key === 'Escape' && el.open) { el.open = false; el.firstChild.focus(); }
}}, h('summary', {'aria-label': name}, label), h('div.menu-items', items));

export function exportMenu(name, rows, columns) {
  const save = (kind, type, text) => () => {
    const href = URL.createObjectURL(new Blob([text()], {type}));
    Object.assign(document.createElement('a'), {href, download: `gqm-${name}.${kind}`}).click();
    setTimeout(() => URL.revokeObjectURL(href), 1000);
  };
  const kept = columns.filter(({text}) => text !== null), plain = (value) => (value && typeof value === 'object' ? json(value) : value);
  const table = () => csv([kept.map(({label}) => label), ...rows.map((row) => kept.map(({key, text}) => (text ? text(row) : plain(row[key]))))]);
  return menu(['Export', icon('more')], [h('button', {onclick: save('csv', 'text/csv', table)}, 'This page as CSV'), h('button', {onclick: save('json', 'application/json', () => json(rows, 2))}, 'This page as JSON')]);
}

// ------------------------------------------------------------------ choosing

export function tabs({label, items, chosen, onchoose}) {
  const onkeydown = (event) => {
    const at = items.findIndex(({id}) => id === chosen), last = items.length - 1;
    const to = {ArrowLeft: at ? at - 1 : last, ArrowRight: at < last ? at + 1 : 0, Home: 0, End: last}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.currentTarget.children[to].focus();
    onchoose(items[to].id);
  };
  return h('div.tabs', {role: 'tablist', 'aria-label': label, onkeydown}, items.map(({id, name, note}) => h('button', {key: id, role: 'tab', 'aria-selected': String(id === chosen), tabindex: id === chosen ? '0' : '-1', onclick: () => onchoose(id)},
    name, note != null && h('b.count', count(note)))));
}

const options = (list) => list.map(([value, text]) => h('option', {value: String(value), key: value}, text));
export const choose = (label, list, value, onchoose) => h('select', {'aria-label': label, value: String(value), onchange: (event) => onchoose(event.target.value)}, options(list));

export function pager({page, size, total, more, onset, name = ''}) {
  if (total <= 20 && page === 1) return null;
  const last = Math.max(1, Math.ceil(total / size)), button = (text, id, to) => h('button', {id, disabled: to < 1 || to > last, onclick: () => onset({page: to})}, text);
  return h('nav.pager', {'aria-label': `Turn the pages ${name}`.trim()}, button('Previous', `${name}previous-page`, page - 1), h('span', `Page ${count(page)} of ${count(last)}${more ? '+' : ''}`), button('Next', `${name}next-page`, page + 1),
    h('span.size', 'Rows ', choose('Rows per page', [20, 50, 100].map((n) => [n, n]), size, (value) => onset({page: 1, size: +value}))));
}

let typing = 0;

function field({name, label, type, options: list, placeholder, list: several}, query, set) {
  const value = query[name], id = `filter-${name}`, put = (next, replace) => set({[name]: next, page: 1}, replace);
  if (type === 'choices') {
    const said = value.length > 2 ? `${value.length} chosen` : value.map(word).join(', ') || 'All';
    return h('div.field', {key: name}, h('span', label), menu([said, icon('more')], list.map(([v, text]) => h('label.check', {key: v},
      h('input', {type: 'checkbox', checked: value.includes(v), onchange: () => put(value.includes(v) ? value.filter((o) => o !== v) : [...value, v])}), text)), {name: `${label}: ${said}`, start: true}));
  }
  const typed = ({target, type: kind}) => {
    clearTimeout(typing);
    const read = () => put(several ? target.value.split(',').map((v) => v.trim()).filter(Boolean) : target.value.trim(), true);
    if (kind === 'change') read(); else typing = setTimeout(read, 300);
  };
  return h('label.field', {key: name}, h('span', label), type === 'choice' ? h('select', {id, value: String(value), onchange: (event) => put(event.target.value)}, options(list))
    : h('input', {id, type: 'search', value: String(value), placeholder, autocomplete: 'off', spellcheck: 'false', maxlength: '256', oninput: typed, onchange: typed}));
}

export function filters(fields, query, set) {
  const on = fields.filter(({name}) => query[name]?.length).length;
  // Made anew for each place: a node is in the document only once.
  const clear = () => h('button.quiet', {onclick: () => set({...Object.fromEntries(fields.map(({name, type, list}) => [name, list || type === 'choices' ? [] : ''])), page: 1})}, 'Clear filters');
  return {active: on > 0, none: (total) => state(`0 of ${count(total)} match`, clear()), node: h('details.filters', {open: innerWidth >= 600 || on > 0},
    h('summary', on ? `Filters (${on})` : 'Filters'), h('div.filter-bar', {role: 'search'}, h('div.filter-fields', fields.map((spec) => field(spec, query, set))), on > 0 && clear()))};
}
