/* Numbers, durations and times as people read them. Everything returns text.

   count(n)  bytes(n)  rate(n)  percent(part, whole)  duration(ms)  ago(s, now)  clock(s)  moment(s)  day(text)
   plural(n, 'job')  json(value, indent)  csv(rows)
   `s` is Unix seconds, `now` the server's time in seconds; zone() is 'local' or 'utc' (setting gqm-tz). */

import { store } from './api.js';

const NUMBER = new Intl.NumberFormat('en');
const NONE = '–';

export const zone = () => (store.get('gqm-tz') === 'utc' ? 'utc' : 'local');
export const count = (n) => (n == null ? NONE : NUMBER.format(n));
export const plural = (n, word, many = word + 's') => `${count(n)} ${n === 1 ? word : many}`;
export const percent = (part, whole) => (whole ? Math.round((100 * part) / whole) : 0);

export function bytes(n) {
  if (n == null) return NONE;
  let unit = 0;
  while (n >= 1024 && unit < 4) { n /= 1024; unit += 1; }
  return `${unit && n < 100 ? n.toFixed(1) : Math.round(n)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
}

export const rate = (n) => (n == null ? NONE : n > 0 && n < 10 ? String(Math.round(n * 10) / 10) : count(Math.round(n)));

export function duration(ms) {
  if (ms == null) return NONE;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59950) return `${(ms / 1000).toFixed(1)} s`;
  const s = Math.round(ms / 1000), pad = (n) => String(n).padStart(2, '0');
  if (s < 3600) return `${Math.floor(s / 60)} m ${pad(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${pad(Math.floor(s / 60) % 60)} m`;
  return `${Math.floor(s / 86400)} d ${pad(Math.floor(s / 3600) % 24)} h`;
}

export function span(s) {
  s = Math.round(Math.abs(s));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  return plural(Math.floor(s / 86400), 'day');
}

export function ago(s, now) {
  if (s == null) return NONE;
  const past = now - s;
  return Math.abs(past) < 1 ? 'now' : past > 0 ? `${span(past)} ago` : `in ${span(past)}`;
}

const formats = new Map();
function format(options, timeZone = zone() === 'utc' ? 'UTC' : undefined) {
  const key = JSON.stringify([options, timeZone]);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat('en-GB', { hourCycle: 'h23', timeZone, ...options }));
  return formats.get(key);
}

const two = '2-digit';
export const clock = (s) => format({ hour: two, minute: two }).format(s * 1000);

export function moment(s, timeZone) {
  if (s == null) return NONE;
  const parts = {};
  const options = { year: 'numeric', month: two, day: two, hour: two, minute: two, second: two, timeZoneName: 'short' };
  for (const { type, value } of format(options, timeZone).formatToParts(s * 1000)) parts[type] = value;
  return `${parts.year}-${parts.month}-${parts.day} ${parts.hour}:${parts.minute}:${parts.second} ${parts.timeZoneName}`;
}

export const day = (text) => format({ day: 'numeric', month: 'short' }, 'UTC').format(new Date(`${text}T00:00:00Z`));

/** JSON text of a value; unlike JSON.stringify it writes integers beyond 2^53 (kept as BigInt) digit for digit. */
export function json(value, indent = 0, pad = '') {
  if (typeof value === 'bigint') return String(value);
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const list = Array.isArray(value), inner = pad + ' '.repeat(indent);
  const items = (list ? value : Object.keys(value)).map((item) =>
    list ? json(item, indent, inner) : JSON.stringify(item) + (indent ? ': ' : ':') + json(value[item], indent, inner));
  const [open, close] = list ? '[]' : '{}';
  if (!items.length) return open + close;
  return indent ? `${open}\n${inner}${items.join(`,\n${inner}`)}\n${pad}${close}` : open + items.join(',') + close;
}

/** Rows of cells as CSV; what a spreadsheet would take for a formula gets a leading quote. */
export const csv = (rows) => rows.map((row) => row.map((cell) => {
  let text = String(cell ?? '');
  if (/^[=+\-@\t\r]/.test(text) && !/^-?\d+(\.\d+)?$/.test(text)) text = "'" + text;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}).join(',')).join('\r\n') + '\r\n';
