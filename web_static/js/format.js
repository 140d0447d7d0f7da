/* Numbers, durations and times as people read them; everything returns text. `s` is Unix seconds, `now` the server's. */

import {store} from './api.js';

const NONE = '–', two = '2-digit', formats = new Map(), number = new Intl.NumberFormat('en');

export const count = (n) => (n == null ? NONE : number.format(n));
export const plural = (n, word, many = word + 's') => `${count(n)} ${n === 1 ? word : many}`;
export const percent = (part, whole) => (whole ? Math.round((100 * part) / whole) : 0);
export const rate = (n) => (n == null ? NONE : n < 10 ? String(Math.round(n * 10) / 10) : count(Math.round(n)));
/** Ids made by GQM begin alike, so both ends are kept. */
export const short = (id) => (id.length > 24 ? `${id.slice(0, 8)}…${id.slice(-8)}` : id);

export function bytes(n) {
  if (n == null) return NONE;
  let unit = 0;
  for (; n >= 1024 && unit < 4; unit += 1) n /= 1024;
  return `${unit && n < 100 ? n.toFixed(1) : Math.round(n)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
}

export function duration(ms) {
  if (ms == null) return NONE;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59950) return `${(ms / 1000).toFixed(1)} s`;
  const s = Math.round(ms / 1000), two = (n, unit) => `${String(Math.floor(n)).padStart(2, '0')} ${unit}`;
  if (s < 3600) return `${Math.floor(s / 60)} m ${two(s % 60, 's')}`;
  return s < 86400 ? `${Math.floor(s / 3600)} h ${two((s / 60) % 60, 'm')}` : `${Math.floor(s / 86400)} d ${two((s / 3600) % 24, 'h')}`;
}

export function span(s) {
  s = Math.round(Math.abs(s));
  return s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min` : s < 86400 ? `${Math.floor(s / 3600)} h` : plural(Math.floor(s / 86400), 'day');
}

export const ago = (s, now) => (s == null ? NONE : Math.abs(now - s) < 1 ? 'now' : now > s ? `${span(now - s)} ago` : `in ${span(s - now)}`);

export const zone = () => (store.get('gqm-tz') === 'utc' ? 'UTC' : undefined);
function parts(options, s, timeZone = zone()) {
  const key = JSON.stringify([options, timeZone]);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat('en-GB', {hourCycle: 'h23', timeZone, ...options}));
  return Object.fromEntries(formats.get(key).formatToParts(s * 1000).map(({type, value}) => [type, value]));
}

export const clock = (s) => Object.values(parts({hour: two, minute: two}, s)).filter((part) => part !== ':').join(':');
export const day = (text) => { const {day: d, month} = parts({day: 'numeric', month: 'short'}, Date.parse(text) / 1000, 'UTC'); return `${d} ${month}`; };
export function moment(s, timeZone) {
  if (s == null) return NONE;
  const p = parts({year: 'numeric', month: two, day: two, hour: two, minute: two, second: two, timeZoneName: 'short'}, s, timeZone);
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second} ${p.timeZoneName}`;
}

/** JSON text; unlike JSON.stringify it writes BigInt digit for digit. */
export function json(value, indent = 0, pad = '') {
  if (typeof value === 'bigint') return String(value);
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const list = Array.isArray(value), inner = pad + ' '.repeat(indent), [open, close] = list ? '[]' : '{}';
  const items = Object.keys(value).map((key) => (list ? '' : JSON.stringify(key) + (indent ? ': ' : ':')) + json(value[key], indent, inner));
  if (!items.length) return open + close;
  return indent ? `${open}\n${inner}${items.join(`,\n${inner}`)}\n${pad}${close}` : open + items.join(',') + close;
}

/** Rows of cells as CSV; what a spreadsheet would take for a formula gets a leading quote. */
export const csv = (rows) => rows.map((row) => row.map((cell) => {
  let text = String(cell ?? '');
  if (typeof cell !== 'number' && /^[=+\-@\t\r]/.test(text)) text = "'" + text;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}).join(',') + '\r\n').join('');
