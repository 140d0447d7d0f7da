/* Starts the dashboard, shows the page of the address and draws. What a page is, and all modules: docs/dashboard.md. */

import {isAdmin, now, readMe, session, start} from './api.js';
import {h, onupdate, render, update} from './dom.js';
import {feed} from './live.js';
import {current, declare, enter, link, set, where} from './router.js';
import {frame, keys, layer, PAGES, shell} from './shell.js';
import {keepSize} from './table.js';

const DETAIL = {queues: 'queue', jobs: 'job'}, WITH_ID = ['queues', 'jobs', 'workers', 'scheduler', 'dag'];
const starting = document.getElementById('start'), whole = document.getElementById('frame');
let page = null, ctx = null, trouble = null, place = null, signing = false, drawn = '', beats = 0, version = '', href = '';

const box = (title, ...more) => h('div.state', {role: 'alert'}, h('p.state-title', title), more);
const nowhere = {title: () => 'Page not found', sources: () => ({}), view: () => box('There is no page at this address.', h('a', {href: link('overview')}, 'To the overview'))};

async function route() {
  const came = where(), back = enter();
  let found = nowhere, failed = null;
  if (PAGES.includes(came.page) && (came.id === null || WITH_ID.includes(came.page))) {
    try { found = (await import(`./pages/${(came.id !== null && DETAIL[came.page]) || came.page}.js`)).default; } catch (error) { failed = error; }
  }
  // What comes late, an error too, is not about the page that is shown now.
  if (where().page !== came.page || where().id !== came.id) return;
  trouble = failed;
  declare(came.page, found.params);
  mount(found, back);
}

function mount(found, back) {
  const to = current(), before = ctx, fresh = page !== found || ctx?.id !== to.id;
  page = found;
  if (fresh) {
    feed.close();
    ctx = {local: {back: href}, refetch, update, set: (changes, replace) => set(keepSize(changes), replace), get data() { return feed.data; }, get admin() { return isAdmin(); }, get now() { return now(); }};
  }
  Object.assign(ctx, {route: to, id: to.id, query: to.query});
  href = location.hash;
  place = back;
  refetch();
  draw();
  if (!before || !fresh || back) return;
  scrollTo(0, 0);
  document.getElementById('title').focus({preventScroll: true});
}

function refetch() {
  const {interval = 5000, events, stream} = page;
  feed.open({stats: {path: '/stats', every: Math.max(5000, interval)}, ...page.sources(ctx)}, {interval, events: (event) => events?.(event, ctx), stream: stream?.(ctx)});
}

const sorry = (error) => box('This page could not be shown', h('p', error.message), h('button', {onclick: () => { trouble = null; route(); }}, 'Try again'));

function view() {
  if (trouble) return sorry(trouble);
  try { return page.view(ctx); } catch (error) { console.error(error); return sorry(error); }
}

function draw() {
  whole.hidden = !ctx;
  layer();
  document.title = session.me && ctx ? `${page.title(ctx)} · GQM` : 'Sign in · GQM';
  if (!ctx || !session.me) return;
  const {bad} = ctx.route;
  frame({ctx, page, content: view(), notice: bad.length ? `Not understood in the address and left out: ${bad.join(', ')}.` : ''});
  // Scroll and focus come back with the first data.
  if (!place || Object.values(feed.data).some(({data, error}) => data === undefined && !error)) return;
  scrollTo(0, place.y);
  (place.focus && document.querySelector(place.focus))?.focus({preventScroll: true});
  place = null;
}

async function signIn() {
  if (signing) return;
  signing = true;
  session.me = null;
  feed.wake();
  await (await import('./pages/login.js')).signIn();
  signing = false;
  if (ctx) feed.wake(); else route();
}

/** After signing out nothing that was read may stay. */
function left() {
  feed.close();
  for (const el of [...whole.querySelectorAll('.content, #title, #summary, #actions, #crumbs')]) render(el);
  ctx = page = shell.stats = null;
  signIn();
}

async function begin(wait = 1) {
  try { await start(); } catch (error) {
    render(starting, box(error.code === 'REDIS_UNAVAILABLE' ? 'Redis is away' : error.message, h('p', 'Trying again by itself.')));
    setTimeout(() => begin(Math.min(30, wait * 2)), (error.retryAfter || wait) * 1000);
    return;
  }
  render(starting);
  version = session.config.version;
  if (session.me) route(); else signIn();
}

function told(name) {
  if (name === version) return;
  shell.version = name;
  update();
}

onupdate(draw);
shell.left = left;
Object.assign(feed, {
  onchange: update, onsignedout: signIn, onversion: told,
  onstats: (stats) => { shell.stats = stats; update(); },
  onforbidden: () => readMe().then(update, () => {}),
  onback: () => start().then(() => told(session.config.version), () => {}),
});
addEventListener('hashchange', () => { if (session.me) route(); });
addEventListener('keydown', (event) => { if (session.me) keys(event, ctx); });
document.addEventListener('visibilitychange', () => { if (session.config) feed.wake(); });
matchMedia('(min-width: 600px)').onchange = update;
setInterval(() => {
  if (document.hidden || !session.me || !ctx) return;
  const {name} = feed.state();
  beats += 1;
  if (name !== drawn || (name !== 'live' && name !== 'paused') || page.tick || beats % 5 === 0) update();
  drawn = name;
}, 1000);
begin();
