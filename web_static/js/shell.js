/* What stands around every page: navigation, head, pill, banners, account menu, toasts, shortcuts.

   shell({ctx, page, content, notice})   the whole document as nodes
   keys(event, ctx)                      carries out a shortcut; SHORTCUTS is also the help */

import { isAdmin, now, post, readMe, session, store } from './api.js';
import { ask, show } from './dialog.js';
import { h, update } from './dom.js';
import { ago, clock, count, plural, span } from './format.js';
import { feed } from './live.js';
import { go, link } from './router.js';
import { icon, menu, run, toasts } from './ui.js';
import { table } from './table.js';

const NAVIGATION = [
  ['Monitor', [['overview', 'Overview'], ['servers', 'Servers'], ['queues', 'Queues', 'queues'], ['jobs', 'Jobs'], ['workers', 'Workers', 'workers']]],
  ['Operate', [['failed', 'Failed', 'dead_letter'], ['scheduler', 'Scheduler'], ['dag', 'DAG']]],
  ['Admin', [['audit', 'Audit']]],
];
export const PAGES = NAVIGATION.flatMap(([, items]) => items.map(([id]) => id));
const state = { menu: false, stats: null, version: null, closed: new Set() };
export const shellState = state;

// ------------------------------------------------------------------ settings

export function setTheme(theme) {
  store.set('gqm-theme', theme);
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  update();
}

const choice = (label, name, fallback, options, choose = (value) => { store.set(name, value); update(); }) => {
  const value = store.get(name) || fallback;
  return h('fieldset.setting', h('legend', label), h('div.segments', options.map(([id, text]) =>
    h('label', { key: id }, h('input', { type: 'radio', name, value: id, checked: value === id, onchange: () => choose(id) }), h('span', text)))));
};

async function sessions() {
  await run(async () => {
    const { data } = await import('./api.js').then(({ get }) => get('/auth/sessions'));
    const columns = [{ key: 'user_agent', label: 'Browser' }, { key: 'address', label: 'Address' },
      { key: 'seen_at', label: 'Last seen', cell: (row) => ago(row.seen_at, now()) }, { key: 'created_at', label: 'Signed in', cell: (row) => ago(row.created_at, now()) },
      { key: 'current', label: 'This one', cell: (row) => (row.current ? 'this session' : '') }];
    await show({ title: 'My sessions', wide: true, body: table({ ctx: { local: {}, query: {} }, id: 'sessions', columns, rows: data, caption: plural(data.length, 'session') }) });
  });
}

export const signOut = () => run(async () => { await post('/auth/logout'); state.left(); });

async function signOutEverywhere() {
  if (!await ask({ title: 'Sign out everywhere?', text: 'All your sessions end, on every device, this one too.', label: 'Sign out everywhere', danger: true })) return;
  await run(async () => { await post('/auth/logout-all', {}); state.left(); });
}

function account() {
  const { me } = session, signed = me.auth === 'session';
  const name = me.auth === 'anonymous' ? 'local, no sign-in' : me.username;
  return menu([icon('user'), h('span.who', name), icon('more')], [
    h('div.me', h('b', name), h('span.chip', me.role === 'admin' ? 'admin' : 'viewer · read only')),
    choice('Theme', 'gqm-theme', 'system', [['light', 'Light'], ['dark', 'Dark'], ['system', 'System']], setTheme),
    choice('Times', 'gqm-tz', 'local', [['local', 'Local'], ['utc', 'UTC']]),
    choice('Shortcuts', 'gqm-shortcuts', 'on', [['on', 'On'], ['off', 'Off']]),
    h('button', { onclick: help }, 'Keyboard shortcuts'),
    h('a', { href: session.config.api.replace(/\/api\/v1$/, '') + '/openapi.json', target: '_blank', rel: 'noopener' }, 'API description'),
    signed && [h('button', { onclick: sessions }, 'My sessions'),
      h('button', { onclick: signOutEverywhere }, 'Sign out everywhere'),
      h('button', { onclick: signOut }, 'Sign out')],
  ], { name: `Account: ${name}` });
}

// ------------------------------------------------------------------ the pill and the banners

function pill() {
  const { name, age, reason, retry } = feed.state();
  const text = { live: 'Live', stale: 'Stale', offline: 'Offline', slowed: 'Slowed', paused: 'Paused', loading: 'Loading' }[name];
  // The seconds are not announced; the state is, when it changes.
  const more = { stale: ` ${span(age)}`, offline: `: ${reason}, retry in ${retry} s`, slowed: `, retry in ${retry} s` }[name];
  return h('span', { class: `pill pill-${name}`, id: 'pill' }, h('span.dot', { 'aria-hidden': 'true' }),
    h('span', { role: 'status' }, text), more && h('span', { 'aria-hidden': 'true', class: 'pill-more' }, more));
}

const banner = (kind, text, ...more) => h('div', { key: kind + text, class: `banner ${kind}`, role: kind === 'bad' ? 'alert' : 'status' }, h('span', text), more);

function banners(notice) {
  const since = feed.redisSince;
  return [
    since && banner('bad', `Redis is away since ${clock(since / 1000)}. What is shown is the last that was read; nothing can be changed until it is back.`),
    state.version && banner('info', `The server is now version ${state.version}.`, h('button', { class: 'small', onclick: () => location.reload() }, 'Reload')),
    notice && !state.closed.has(notice) && banner('info', notice, h('button', { class: 'small', onclick: () => { state.closed.add(notice); update(); } }, 'Close')),
  ];
}

// ------------------------------------------------------------------ the frame

const item = (id, label, counted, here) => {
  const n = counted && state.stats?.[counted];
  return h('li', { key: id }, h('a', { href: link(id), 'aria-current': here === id ? 'page' : null, onclick: () => { state.menu = false; update(); } },
    icon(id), h('span', label), n > 0 && h('span', { class: `count${id === 'failed' ? ' bad' : ''}` }, count(n))));
};

const navigation = (here) => h('nav', { class: `side${state.menu ? ' shown' : ''}`, id: 'navigation', 'aria-label': 'Pages' },
  h('a.brand', { href: link('overview') }, h('img', { src: 'icon.svg', alt: '', width: '24', height: '24' }), h('b', 'GQM')),
  NAVIGATION.filter(([group]) => group !== 'Admin' || isAdmin()).map(([group, items]) => h('div', { key: group, class: 'group' }, h('h2', group),
    h('ul', items.map(([id, label, counted]) => item(id, label, counted, here))))),
  h('p.version', `Version ${session.config.version}`));

export function shell({ ctx, page, content, notice }) {
  const here = ctx?.route.page, title = page?.title?.(ctx) || 'Page not found', parent = page?.parent?.(ctx);
  const paused = feed.paused;
  return h('div.shell', session.me && navigation(here), h('div.body',
    session.me && h('header.top',
      h('button', { class: 'icon-button burger', 'aria-expanded': String(state.menu), 'aria-controls': 'navigation', 'aria-label': 'Menu', onclick: () => { state.menu = !state.menu; update(); } }, icon('menu')),
      h('nav.crumbs', { 'aria-label': 'Breadcrumb' }, h('ol', h('li', h('a', { href: link('overview') }, 'GQM')),
        parent && h('li', h('a', { href: parent.href }, parent.label)), h('li', { 'aria-current': 'page' }, page?.crumb?.(ctx) || title))),
      h('div.top-tools', pill(),
        h('button', { class: 'icon-button', 'aria-label': paused ? 'Resume updates' : 'Pause updates', title: paused ? 'Resume updates (p)' : 'Pause updates (p)', 'aria-pressed': String(paused), onclick: () => feed.pause(!paused) }, icon(paused ? 'play' : 'pause')),
        h('button', { class: 'icon-button', 'aria-label': 'Refresh', title: 'Refresh (r)', onclick: () => feed.refresh() }, icon('refresh')),
        account())),
    h('main', { id: 'main', tabindex: '-1' },
      session.me && banners(notice),
      h('div.head', h('div', h('h1', { tabindex: '-1' }, title, page?.badge?.(ctx)), session.me && page?.summary && h('p.summary', page.summary(ctx))),
        session.me && page?.actions && h('div.actions', page.actions(ctx))),
      h('div.content', { key: `${here}/${ctx?.id}` }, content))));
}

export const layer = () => h('div.toasts',
  h('div', { role: 'status' }, toasts.filter((t) => !t.error).map(slip)), h('div', { role: 'alert' }, toasts.filter((t) => t.error).map(slip)));

const slip = ({ id, text, error, undo, close }) => h('div', { key: id, class: `toast${error ? ' bad' : ''}` }, h('span', text),
  undo && h('button', { class: 'small', onclick: () => { close(); run(undo); } }, 'Undo'),
  h('button', { class: 'icon-button', 'aria-label': 'Close message', onclick: close }, '✕'));

// ------------------------------------------------------------------ shortcuts

const press = (selector) => document.querySelector(selector)?.click();
const JUMPS = { o: 'overview', s: 'servers', q: 'queues', j: 'jobs', w: 'workers', f: 'failed', c: 'scheduler', d: 'dag', a: 'audit' };

export const SHORTCUTS = [
  ['?', 'This help', () => help()],
  ['/', 'Go to the filter', () => {
    const box = document.querySelector('details.filters');
    if (box) { box.open = true; box.querySelector('input,select,summary')?.focus(); }
  }],
  ...Object.entries(JUMPS).map(([key, page]) => [`g ${key}`, `Open ${page === 'dag' ? 'DAG' : page[0].toUpperCase() + page.slice(1)}`, () => go(link(page)), page === 'audit']),
  ['r', 'Refresh', () => feed.refresh()],
  ['p', 'Pause or resume updates', () => feed.pause(!feed.paused)],
  ['[', 'Previous page', () => press('#previous-page')],
  [']', 'Next page', () => press('#next-page')],
  ['x', 'Mark the row that has the focus', () => document.activeElement.closest('tr')?.querySelector('input[type=checkbox]')?.click()],
  ['Escape', 'Close what is open, clear the selection', (ctx) => {
    if (state.menu) { state.menu = false; update(); } else ctx?.local.selection?.clear();
  }],
];

function help() {
  const rows = SHORTCUTS.filter(([, , , admin]) => !admin || isAdmin());
  return show({ title: 'Keyboard shortcuts', body: h('dl.keys', rows.map(([key, text]) => h('div', { key }, h('dt', key.split(' ').map((k) => h('kbd', k))), h('dd', text)))) });
}

let lead = 0;

export function keys(event, ctx) {
  if (store.get('gqm-shortcuts') === 'off' || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  const typed = event.target.closest?.('input:not([type=checkbox]):not([type=radio]),select,textarea,[contenteditable]');
  if (typed) { if (event.key === 'Escape') typed.blur(); return; }
  const led = lead > event.timeStamp - 1500;
  lead = event.key === 'g' && !led ? event.timeStamp : 0;
  const name = led ? `g ${event.key}` : event.key;
  const found = SHORTCUTS.find(([key, , , admin]) => key === name && (!admin || isAdmin()));
  if (!found) return;
  event.preventDefault();
  found[2](ctx);
}

export const refreshRole = async () => { await readMe(); update(); };
