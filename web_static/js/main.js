/* Starts the dashboard, shows the page of the address and draws.

   A page is a module js/pages/<name>.js with a default export:
       params            what the query may hold (router.js), for list pages ...listParams([...])
       interval          ms between fetches; tick: true = drawn every second
       title(ctx)        of the head and the window; also parent(ctx) {href, label}, badge(ctx), summary(ctx), actions(ctx)
       sources(ctx)      {name: {path, query, every}}   what to fetch; `stats` is added for the navigation
       events(event, ctx), stream(ctx)                  which events ask for a fetch
       view(ctx)         nodes
   ctx: route, id, query, data (feed.data), local (kept while the page stays), admin, now, set(changes, replace)
   changes the query, refetch() after sources() would answer differently, update() draws. */

import { isAdmin, now, session, start } from './api.js';
import { h, onupdate, render, update } from './dom.js';
import { feed } from './live.js';
import { current, declare, enter, link, set, where } from './router.js';
import { keys, layer, PAGES, refreshRole, shell, shellState } from './shell.js';
import { keepSize } from './table.js';

const DETAIL = { queues: 'queue', jobs: 'job' };
const WITH_ID = new Set(['queues', 'jobs', 'workers', 'scheduler', 'dag']);
const app = document.getElementById('app');
let page = null, ctx = null, trouble = null, place = null, signing = false, drawnAs = '';

const nowhere = { title: () => 'Page not found', sources: () => ({}),
  view: () => h('div.state', h('p.state-title', 'There is no page at this address.'), h('a', { href: link('overview') }, 'To the overview')) };

async function route() {
  const came = where(), back = enter();
  const known = PAGES.includes(came.page) && (came.id === null || WITH_ID.has(came.page));
  let module = nowhere;
  if (known) {
    const name = (came.id !== null && DETAIL[came.page]) || came.page;
    try { module = (await import(`./pages/${name}.js`)).default; } catch (error) { return failed(error); }
    if (where().page !== came.page || where().id !== came.id) return undefined;
    declare(came.page, module.params);
  }
  return mount(module, back);
}

function mount(module, back) {
  const now_ = current(), fresh = !ctx || page !== module || ctx.id !== now_.id;
  const moved = Boolean(ctx) && fresh;
  page = module; trouble = null;
  if (fresh) {
    feed.close();
    ctx = { local: {}, set: (changes, replace) => set(keepSize(changes), replace), refetch, update,
      get data() { return feed.data; }, get admin() { return isAdmin(); }, get now() { return now(); } };
  }
  Object.assign(ctx, { route: now_, id: now_.id, query: now_.query });
  place = back || null;
  refetch();
  draw();
  if (moved && !back?.focus) app.querySelector('h1')?.focus({ preventScroll: true });
  if (moved && !back) scrollTo(0, 0);
}

function refetch() {
  if (!session.me) return;
  const { interval = 5000, events, stream } = page;
  const sources = { stats: { path: '/stats', every: Math.max(5000, interval) }, ...page.sources(ctx) };
  feed.open(sources, { interval, events: events && ((event) => events(event, ctx)), stream: stream?.(ctx) || {} });
}

function failed(error) {
  console.error(error);
  trouble = error;
  update();
}

const sorry = (error) => h('div.state.error', { role: 'alert' }, h('p.state-title', 'This page could not be shown'), h('p', String(error.message)),
  h('button', { onclick: () => { trouble = null; ctx ? update() : route(); } }, 'Try again'));

function content() {
  if (!session.me || !page) return null;
  if (trouble) return sorry(trouble);
  try { return page.view(ctx); } catch (error) { console.error(error); return sorry(error); }
}

function draw() {
  if (!session.config) return;
  const bad = ctx?.route.bad.length ? `Not understood in the address and left out: ${ctx.route.bad.join(', ')}.` : '';
  let whole;
  const inner = content();
  try { whole = shell({ ctx, page, content: inner, notice: bad }); } catch (error) {
    console.error(error);
    whole = shell({ ctx, page: { title: () => 'GQM' }, content: sorry(error), notice: bad });
  }
  render(app, whole);
  render(document.getElementById('layer'), layer());
  const title = session.me && page ? `${page.title(ctx)} · GQM` : 'Sign in · GQM';
  if (title !== document.title) document.title = title;
  settle();
}

/** Puts scroll and focus back once the first data of a page that one came back to is there. */
function settle() {
  if (!place || Object.values(feed.data).some((entry) => entry.data === undefined && !entry.error)) return;
  const { y, focus } = place;
  place = null;
  scrollTo(0, y);
  (focus && document.querySelector(focus))?.focus({ preventScroll: true });
}

async function signIn() {
  if (signing) return;
  signing = true;
  session.me = null;
  feed.wake();
  update();
  const { signIn: ask } = await import('./pages/login.js');
  await ask();
  signing = false;
  if (ctx) { refetch(); feed.wake(); update(); } else route();
}

/** After signing out nothing that was read may stay. */
function left() {
  feed.close();
  ctx = page = shellState.stats = null;
  session.me = null;
  signIn();
}

async function begin(wait = 1000) {
  try { await start(); } catch (error) {
    render(app, h('div.state.error.start', { role: 'alert' }, h('p.state-title', error.code === 'REDIS_UNAVAILABLE' ? 'Redis is away' : error.message),
      h('p', 'Trying again by itself.')));
    setTimeout(() => begin(Math.min(30000, wait * 2)), (error.retryAfter || 0) * 1000 || wait);
    return;
  }
  if (session.me) route(); else signIn();
}

onupdate(draw);
Object.assign(shellState, { left });
Object.assign(feed, {
  onchange: update,
  onstats: (stats) => { shellState.stats = stats; update(); },
  onsignedout: signIn,
  onforbidden: refreshRole,
  onback: () => start().then(() => feed.onversion(session.config.version), () => {}),
  onversion: (version) => { shellState.first ??= session.config.version; if (version !== shellState.first) { shellState.version = version; update(); } },
});
addEventListener('hashchange', () => { if (session.me) route(); });
addEventListener('keydown', (event) => keys(event, ctx));
document.addEventListener('visibilitychange', () => { if (session.config) feed.wake(); });
document.querySelector('.skip').addEventListener('click', (event) => { event.preventDefault(); document.getElementById('main')?.focus(); });
document.addEventListener('click', (event) => {
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    const chosen = menu.contains(event.target) && event.target.closest('.menu-items a, .menu-items button');
    if (chosen) menu.firstChild.focus();
    if (chosen || !menu.contains(event.target)) menu.open = false;
  }
}, true);
matchMedia('(min-width: 600px)').addEventListener('change', update);
let beats = 0;
setInterval(() => {
  if (document.hidden || !session.me) return;
  const { name } = feed.state();
  beats += 1;
  if (name !== drawnAs || (name !== 'live' && name !== 'paused') || page?.tick || beats % 5 === 0) { drawnAs = name; update(); }
}, 1000);
begin();
