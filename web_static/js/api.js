/* The REST API: one call function, one error class, who is signed in, the server's clock, the stored settings. */

import {json} from './format.js';

export const session = {me: null, config: null};
export const isAdmin = () => session.me?.role === 'admin';

export class ApiError extends Error {
  constructor(status, code, message, retryAfter = null) {
    super(message);
    Object.assign(this, {status, code, retryAfter});
  }
}

export const store = {
  get(name) { try { return localStorage.getItem(name); } catch { return null; } },
  set(name, value) { try { localStorage.setItem(name, value); } catch { /* then it lasts as long as the page */ } },
};

let ahead = (Date.now() - performance.now()) / 1000;
export const now = () => performance.now() / 1000 + ahead;

export const path = (parts, ...values) => parts.reduce((text, part, i) => text + encodeURIComponent(values[i - 1]) + part);

/** JSON of any size of number: integers beyond 2^53 become BigInt, digit for digit. */
export const parse = (text) => JSON.parse(text, (_, value, context) =>
  Number.isInteger(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source) ? BigInt(context.source) : value);

export function search(query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value != null && value !== '' && value.length !== 0);
  return pairs.length ? '?' + pairs.map(([name, value]) => `${name}=${[].concat(value).map(encodeURIComponent).join(',')}`).join('&') : '';
}

export const address = (route) => (route.startsWith('/auth/') ? session.config.auth + route.slice(5) : session.config.api + route);

async function ask(url, {method = 'GET', body, signal} = {}) {
  const seconds = method === 'GET' ? 15 : 60, limit = AbortSignal.timeout(seconds * 1000);
  const headers = method === 'GET' ? {} : {'X-GQM-CSRF': '1', ...(body !== undefined && {'Content-Type': 'application/json'})};
  let answer, found = null;
  try {
    answer = await fetch(url, {method, headers, body: body === undefined ? body : json(body), signal: signal ? AbortSignal.any([signal, limit]) : limit});
    const text = await answer.text();
    try { found = parse(text); } catch { /* not of GQM: said below */ }
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, 'NO_ANSWER', limit.aborted ? `no answer in ${seconds} s` : 'the server does not answer');
  }
  if (answer.ok && found) return found;
  const wait = Number.parseInt(answer.headers.get('Retry-After'), 10);
  throw new ApiError(answer.status, found?.code || 'NOT_JSON', found?.error || `an answer that is not GQM's (${answer.status})`, wait >= 0 ? wait : null);
}

export async function call(method, route, {query, ...options} = {}) {
  const found = await ask(address(route) + search(query), {method, ...options});
  if (found.meta?.server_time) ahead = found.meta.server_time - performance.now() / 1000;
  return found;
}

export const get = (route, options) => call('GET', route, options);
export const post = (route, body, options) => call('POST', route, {body, ...options});
export const del = (route, options) => call('DELETE', route, options);

/** Reads who the caller is and what may be done; `me` is null for nobody. */
export async function readMe(asked = get('/auth/me')) {
  try { session.me = (await asked).data; } catch (error) {
    if (error.status !== 401) throw error;
    session.me = null;
  }
}

/** Fetches config.json and the caller together: where auth is, is first guessed from the address. */
export async function start() {
  const guess = new URL('../auth/me', location.href), me = ask(guess.href);
  me.catch(() => {});
  session.config = await ask('config.json');
  await readMe(new URL(session.config.auth + '/me', guess).href === guess.href ? me : undefined);
}
