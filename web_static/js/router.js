/* Hash routes with a checked query: #/jobs?status=retry&page=2

   link(page, id, query)    an href; values are encoded, null left out
   current()                {page, id, query, bad}; query holds every parameter of the page, bad what was wrong
   set(changes, replace)    changes the query; replace = no new entry (typing)
   go(href)                 opens a route
   declare(page, params)    what a page's query may hold: int one many text flag
   remember(scroll…)        scroll and focus are kept per history entry, see restore() */

export const int = (fallback, low, high) => ({
  fallback, read: (t) => (/^\d{1,9}$/.test(t) && +t >= low && +t <= high ? +t : undefined),
});
export const one = (fallback, ...values) => ({ fallback, read: (t) => (values.includes(t) ? t : undefined) });
export const many = (...values) => ({
  fallback: [], read: (t) => (t && (list(t).every((v) => values.includes(v)) || !values.length) ? list(t) : undefined),
});
export const text = (most = 256, form = null) => ({
  fallback: '', read: (t) => (t.length <= most && (!form || form.test(t)) ? t : undefined),
});
export const flag = { fallback: false, read: (t) => (t === 'true' ? true : undefined) };
export const time = text(20, /^(-\d{1,6}[smhd]|\d{1,11}(\.\d+)?)$/);

const list = (value) => value.split(',').filter(Boolean).map(decode);
const specs = new Map();
const places = new Map();
let entry = 0;

export const declare = (page, params) => specs.set(page, params || {});

function decode(value) {
  try { return decodeURIComponent(value.replaceAll('+', ' ')); } catch { return value; }
}

function encode(value) {
  return Array.isArray(value) ? value.map(encodeURIComponent).join(',') : encodeURIComponent(value);
}

export function link(page, id, query) {
  const pairs = Object.entries(query || {}).filter(([, v]) => v != null && v !== '' && v !== false && v.length !== 0);
  return `#/${page}${id == null ? '' : '/' + encodeURIComponent(id)}` +
    (pairs.length ? '?' + pairs.map(([name, value]) => `${name}=${encode(value)}`).join('&') : '');
}

/** Page and id of the address; the query still as text, for the page's module is perhaps not loaded. */
export function where() {
  const [head, tail = ''] = location.hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  const [page, ...rest] = head.split('/');
  return { page: page || 'overview', id: rest.length ? decode(rest.join('/')) : null, tail };
}

export function current() {
  const { page, id, tail } = where(), spec = specs.get(page) || {};
  const query = Object.fromEntries(Object.entries(spec).map(([name, { fallback }]) => [name, fallback]));
  const bad = [];
  for (const pair of tail.split('&').filter(Boolean)) {
    const [name, raw = ''] = pair.split(/=(.*)/s);
    // A list is split before its items are decoded, so that an item may hold a comma.
    const value = Array.isArray(spec[name]?.fallback) ? spec[name].read(raw) : spec[name]?.read(decode(raw));
    if (value === undefined) bad.push(decode(name)); else query[name] = value;
  }
  return { page, id, query, bad };
}

export function set(changes, replace = false) {
  const { page, id, query } = current(), spec = specs.get(page);
  const next = { ...query, ...changes };
  for (const name in next) if (String(next[name]) === String(spec[name]?.fallback)) delete next[name];
  const href = link(page, id, next);
  if (href === (location.hash || '#/')) return;
  if (!replace) return go(href);
  history.replaceState(history.state, '', href);
  dispatchEvent(new HashChangeEvent('hashchange'));
}

export const go = (href) => { location.hash = href; };

/** Notes scroll and focus of the entry that is being left; returns those of the one that is now shown. */
export function enter() {
  places.set(entry, { y: scrollY, focus: mark(document.activeElement) });
  if (history.state?.gqm === undefined) history.replaceState({ gqm: Date.now() + Math.random() }, '');
  const moved = entry !== history.state.gqm;
  entry = history.state.gqm;
  return moved ? places.get(entry) || null : undefined;
}

const mark = (el) => (el?.id ? `#${CSS.escape(el.id)}` : el?.getAttribute?.('href')
  ? `main a[href="${CSS.escape(el.getAttribute('href'))}"]` : null);

history.scrollRestoration = 'manual';
