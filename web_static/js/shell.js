/* What stands around every page and is written in index.html: navigation, head, pill, banners, account menu, toasts. */

import {get, isAdmin, now, post, session, store} from './api.js';
import {ask, show} from './dialog.js';
import {h, render, update} from './dom.js';
import {ago, clock, count, plural, span} from './format.js';
import {feed} from './live.js';
import {go, link} from './router.js';
import {table} from './table.js';
import {icon, run, toasts} from './ui.js';

const $ = (id) => document.getElementById(id), $$ = (selector) => document.querySelectorAll(selector);
export const shell = {stats: null, version: null, closed: new Set(), left() {}};
export const PAGES = [...$$('[data-page]')].map((a) => a.dataset.page);

function pill() {
  const {name, age, reason, retry} = feed.state();
  // The state is announced when it changes, the seconds are not.
  const more = {stale: ` ${span(age)}`, offline: `: ${reason}, retry in ${retry} s`, slowed: `, retry in ${retry} s`}[name];
  return h(`span.pill.pill-${name}`, h('i.dot'), h('span', {role: 'status'}, name[0].toUpperCase() + name.slice(1)), more && h('span', {'aria-hidden': 'true', class: 'pill-more'}, more));
}

const banner = (kind, text, label, act) => h(`div.banner.${kind}`, {key: text, role: kind === 'bad' ? 'alert' : 'status'}, h('span', text), label && h('button.small', {onclick: act}, label));

export function frame({ctx, page, content, notice}) {
  const {me, config} = session, here = ctx.route.page, title = page.title(ctx), parent = page.parent?.(ctx);
  for (const a of $$('[data-page]')) a.setAttribute('aria-current', a.dataset.page === here ? 'page' : 'false');
  for (const el of $$('[data-count]')) {
    const n = shell.stats?.[el.dataset.count];
    el.hidden = !n;
    el.textContent = count(n);
  }
  const name = me.auth === 'anonymous' ? 'local, no sign-in' : me.username;
  for (const el of $$('.who')) render(el, name);
  $('account').firstElementChild.setAttribute('aria-label', `Account: ${name}`);
  for (const el of $$('.setting select')) el.value = store.get(el.name) || {'gqm-theme': 'system', 'gqm-tz': 'local', 'gqm-shortcuts': 'on'}[el.name];
  $('admin').hidden = !isAdmin();
  $('signed').hidden = me.auth !== 'session';
  $('description').href = config.api.replace(/\/api\/v1$/, '/openapi.json');
  render($('role'), me.role === 'admin' ? 'admin' : 'viewer · read only');
  render($('version'), `Version ${config.version}`);
  render($('crumbs'), h('li', h('a', {href: link('overview')}, 'GQM')), parent && h('li', h('a', {href: parent.href}, parent.label)), h('li', page.crumb?.(ctx) || title));
  const label = feed.paused ? 'Resume updates' : 'Pause updates';
  for (const [name, value] of Object.entries({'aria-label': label, title: `${label} (p)`, 'aria-pressed': feed.paused})) $('pause').setAttribute(name, value);
  render($('pause'), icon(feed.paused ? 'play' : 'pause'));
  render($('pill'), pill());
  render($('banners'), feed.redisSince && banner('bad', `Redis is away since ${clock(feed.redisSince / 1000)}. What is shown is the last that was read; nothing can be changed until it is back.`),
    shell.version && banner('info', `The server is now version ${shell.version}.`, 'Reload', () => location.reload()),
    notice && !shell.closed.has(notice) && banner('info', notice, 'Close', () => { shell.closed.add(notice); update(); }));
  render($('title'), title, page.badge?.(ctx));
  render($('summary'), page.summary?.(ctx));
  render($('actions'), page.actions?.(ctx));
  render($('content'), h('div.content', {key: `${here}/${ctx.id}`}, content));
}

const slip = ({id, text, error, undo, close}) => h(`div.toast${error ? '.bad' : ''}`, {key: id}, h('span', text),
  undo && h('button.small', {onclick: () => { close(); run(undo); }}, 'Undo'), h('button.icon-button', {'aria-label': 'Close message', onclick: close}, '✕'));
export const layer = () => [['said', false], ['failed', true]].forEach(([id, bad]) => render($(id), toasts.filter(({error}) => error === bad).map(slip)));

// ------------------------------------------------------------------ what the frame's buttons and the keys do

function menu(on = !$('navigation').classList.contains('shown')) {
  $('navigation').classList.toggle('shown', on);
  $('burger').setAttribute('aria-expanded', on);
}

const COLUMNS = [{key: 'user_agent', label: 'Browser'}, {key: 'address', label: 'Address'}, {key: 'seen_at', label: 'Last seen', cell: (row) => ago(row.seen_at, now())},
  {key: 'created_at', label: 'Signed in', cell: (row) => ago(row.created_at, now())}, {key: 'current', label: 'This one', cell: (row) => (row.current ? 'this session' : '')}];

export const DO = {
  menu: () => menu(),
  skip: () => $('main').focus(),
  pause: () => feed.pause(!feed.paused),
  refresh: () => feed.refresh(),
  help: () => show({title: 'Keyboard shortcuts', body: h('dl.keys', SHORTCUTS.filter(([key]) => key !== 'g a' || isAdmin()).map(([key, text]) => h('div', {key}, h('dt', key.split(' ').map((k) => h('kbd', k))), h('dd', text))))}),
  sessions: () => run(async () => {
    const {data} = await get('/auth/sessions');
    await show({title: 'My sessions', wide: true, body: table({ctx: {local: {}, query: {}}, id: 'sessions', columns: COLUMNS, rows: data, caption: plural(data.length, 'session')})});
  }),
  leave: () => run(async () => { await post('/auth/logout'); shell.left(); }),
  everywhere: () => run(async () => {
    if (!await ask({title: 'Sign out everywhere?', text: 'All your sessions end, on every device, this one too.', label: 'Sign out everywhere', danger: true})) return;
    await post('/auth/logout-all', {});
    shell.left();
  }),
};

const press = (selector) => () => document.querySelector(selector)?.click();
const JUMPS = {o: 'Overview', s: 'Servers', q: 'Queues', j: 'Jobs', w: 'Workers', f: 'Failed', c: 'Scheduler', d: 'DAG', a: 'Audit'};
export const SHORTCUTS = [
  ['?', 'This help', DO.help],
  ['/', 'Go to the filter', () => {
    const box = document.querySelector('.filters');
    if (box) { box.open = true; box.querySelector('input,select,summary').focus(); }
  }],
  ...Object.entries(JUMPS).map(([key, name]) => [`g ${key}`, `Open ${name}`, () => go(link(name.toLowerCase()))]),
  ['r', 'Refresh', DO.refresh], ['p', 'Pause or resume updates', DO.pause], ['[', 'Previous page', press('#previous-page')], [']', 'Next page', press('#next-page')],
  ['x', 'Mark the row that has the focus', () => document.activeElement.closest('tr')?.querySelector('input[type=checkbox]')?.click()],
  ['Escape', 'Close what is open, clear the selection', (ctx) => { menu(false); ctx?.local.selection?.clear(); }],
];
let lead = -9999;

export function keys(event, ctx) {
  if (store.get('gqm-shortcuts') === 'off' || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  const typing = event.target.closest('input:not([type=checkbox],[type=radio]),select,textarea');
  if (typing) { if (event.key === 'Escape') typing.blur(); return; }
  const led = event.timeStamp - lead < 1500, name = led ? `g ${event.key}` : event.key;
  lead = name === 'g' ? event.timeStamp : -9999;
  const found = SHORTCUTS.find(([key]) => key === name && (key !== 'g a' || isAdmin()));
  if (!found) return;
  event.preventDefault();
  found[2](ctx);
}

document.addEventListener('click', (event) => {
  const doing = event.target.closest('[data-do]')?.dataset.do;
  if (doing === 'skip') event.preventDefault();
  if (event.target.closest('#navigation a')) menu(false);
  DO[doing]?.();
});
document.addEventListener('click', (event) => {
  for (const details of $$('details.menu[open]')) {
    const inside = details.contains(event.target), chosen = inside && event.target.closest('.menu-items a, .menu-items button');
    // The focus goes to the menu's button first, so that a dialog gives it back to something that can be seen.
    if (chosen) details.firstElementChild.focus();
    if (chosen || !inside) details.open = false;
  }
}, true);
document.addEventListener('change', ({target: {name, value}}) => {
  if (!name?.startsWith('gqm-')) return;
  store.set(name, value);
  if (name === 'gqm-theme') document.documentElement.dataset.theme = value;
  update();
});
