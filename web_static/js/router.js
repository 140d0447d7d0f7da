/* Hash routes with a checked query: #/jobs?status=retry&page=2 */

const list = (value) => value.split(',').filter(Boolean).map(decode);
export const int = (fallback, low, high) => ({fallback, read: (t) => (/^\d{1,9}$/.test(t) && +t >= low && +t <= high ? +t : undefined)});
export const one = (fallback, ...values) => ({fallback, read: (t) => (values.includes(t) ? t : undefined)});
export const many = (...values) => ({fallback: [], read: (t) => (!values.length || list(t).every((v) => values.includes(v)) ? list(t) : undefined)});
export const text = (most = 256, form = /^/) => ({fallback: '', read: (t) => (t.length <= most && form.test(t) ? t : undefined)});
export const flag = {fallback: false, read: (t) => (t === 'true' ? true : undefined)};
export const time = text(20, /^(-\d{1,6}[smhd]|\d{1,11}(\.\d+)?)$/);

const specs = new Map(), places = new Map();
let entry = 0;

export const declare = (page, params = {}) => specs.set(page, params);

function decode(value) {
  try { return decodeURIComponent(value); } catch { return value; }
}

export function link(page, id, query = {}) {
  const pairs = Object.entries(query || {}).filter(([, v]) => v != null && v !== '' && v !== false && v.length !== 0);
  return `#/${page}${id == null ? '' : '/' + encodeURIComponent(id)}${pairs.length ? '?' : ''}` +
    pairs.map(([name, value]) => `${name}=${[].concat(value).map(encodeURIComponent).join(',')}`).join('&');
}

export function where() {
  const [head, tail = ''] = location.hash.replace(/^#\/?/, '').split(/\?(.*)/s), [page, ...rest] = head.split('/');
  return {page: page || 'overview', id: rest.length ? decode(rest.join('/')) : null, tail};
}

export function current() {
  const {page, id, tail} = where(), spec = specs.get(page), query = {}, bad = [];
  for (const name in spec) query[name] = spec[name].fallback;
  for (const pair of tail.split('&').filter(Boolean)) {
    const [name, raw = ''] = pair.split(/=(.*)/s), param = spec?.[name];
    // The items of a list are decoded one by one, so that one may hold a comma.
    const value = param?.read(Array.isArray(param.fallback) ? raw : decode(raw));
    if (value === undefined) bad.push(decode(name)); else query[name] = value;
  }
  return {page, id, query, bad};
}

export function set(changes, replace = false) {
  const {page, id, query} = current(), next = {...query, ...changes}, spec = specs.get(page);
  for (const name in next) if (String(next[name]) === String(spec[name]?.fallback)) delete next[name];
  const href = link(page, id, next);
  if (!replace) return go(href);
  history.replaceState(history.state, '', href);
  dispatchEvent(new Event('hashchange'));
}

export const go = (href) => { location.hash = href; };

const mark = (el) => (el.id ? `#${CSS.escape(el.id)}` : el.hasAttribute('href') && `main a[href="${CSS.escape(el.getAttribute('href'))}"]`);

/** Notes scroll and focus of the history entry that is left; returns those of the one that is shown, if it was before. */
export function enter() {
  places.set(entry, {y: scrollY, focus: mark(document.activeElement || document.body)});
  if (!history.state?.gqm) history.replaceState({gqm: Math.random()}, '');
  const moved = entry !== history.state.gqm;
  entry = history.state.gqm;
  return moved && places.get(entry);
}

history.scrollRestoration = 'manual';
