/* The REST API: one call function, one error class, who is signed in, the server's clock, the stored settings.

   session.me / session.config   the caller (null = signed out) and config.json
   call(method, path, {query, body, signal})  → {data, meta}; path is below the API base, '/auth/…' below auth's
   get / post / del               call() with the method; path`/jobs/${id}` encodes its parts
   ApiError                       status, code, message, retryAfter (s or null); status 0 = no answer
   now()                          the server's time in Unix seconds, from the newest meta.server_time
   store                          localStorage of the four gqm-… settings, harmless where it is forbidden */

import { json } from './format.js';

export const session = { me: null, config: null };

export class ApiError extends Error {
  constructor(status, code, message, retryAfter = null) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }
}

export const store = {
  get(name) { try { return localStorage.getItem(name); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(name, value); } catch { /* settings then last for this page */ } },
};

let ahead = Date.now() / 1000 - performance.now() / 1000;
export const now = () => performance.now() / 1000 + ahead;

export const path = (parts, ...values) =>
  parts.reduce((text, part, i) => text + encodeURIComponent(values[i - 1]) + part);

const exact = (_key, value, context) =>
  typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source)
    ? BigInt(context.source) : value;

export const parse = (text) => JSON.parse(text, exact);

export function search(query) {
  const pairs = Object.entries(query || {}).filter(([, value]) => value != null && value !== '' && value.length !== 0);
  return pairs.length ? '?' + pairs.map(([name, value]) =>
    `${name}=${[].concat(value).map(encodeURIComponent).join(',')}`).join('&') : '';
}

export const address = (route) =>
  route.startsWith('/auth/') ? session.config.auth + route.slice(5) : session.config.api + route;

export async function fetchJson(url, { method = 'GET', body, signal, timeout = 15000 } = {}) {
  const headers = method === 'GET' ? {} : { 'X-GQM-CSRF': '1' };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const limit = AbortSignal.timeout(timeout);
  let answer, text;
  try {
    answer = await fetch(url, {
      method, headers, body: body === undefined ? undefined : json(body), credentials: 'same-origin',
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    text = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'NO_ANSWER', limit.aborted ? `no answer in ${timeout / 1000} s` : 'the server does not answer');
  }
  let found = null;
  try { found = parse(text); } catch { /* not ours: said below */ }
  if (answer.ok && found) return found;
  const wait = Number.parseInt(answer.headers.get('Retry-After'), 10);
  throw new ApiError(answer.status, found?.code || 'NOT_JSON',
    found?.error || `an answer that is not GQM's (${answer.status})`, Number.isNaN(wait) ? null : wait);
}

export async function call(method, route, { query, ...options } = {}) {
  const found = await fetchJson(address(route) + search(query), { method, timeout: method === 'GET' ? 15000 : 60000, ...options });
  if (found.meta?.server_time) ahead = found.meta.server_time - performance.now() / 1000;
  return found;
}

export const get = (route, options) => call('GET', route, options);
export const post = (route, body, options) => call('POST', route, { body, ...options });
export const del = (route, options) => call('DELETE', route, options);

/** Fetches config.json and the caller together; `me` stays null if nobody is signed in. */
export async function start() {
  const guess = new URL('../auth/me', location.href);
  const [config, me] = await Promise.allSettled([fetchJson('config.json'), fetchJson(guess.href)]);
  if (config.status === 'rejected') throw config.reason;
  session.config = config.value;
  if (new URL(session.config.auth + '/me', location.href).pathname !== guess.pathname) return readMe();
  if (me.status === 'rejected') return told(me.reason);
  session.me = me.value.data;
}

function told(error) {
  if (error.status !== 401) throw error;
  session.me = null;
}

/** Reads who the caller is and what may be done. */
export async function readMe() {
  try { session.me = (await get('/auth/me')).data; } catch (error) { told(error); }
}

export const isAdmin = () => session.me?.role === 'admin';
