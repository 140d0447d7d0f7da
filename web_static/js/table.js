/* The table of every list: sorting heads, opened rows, selection, cards on narrow screens.

   table({ctx, id, columns, rows, key, caption, detail, select, onopen, mark})
       columns   {key, label, cell: (row) => nodes, sort, num, at, text, hidden}
                 cell   default: the field itself; text: what an export holds (null = not exported)
                 sort   the API's key, or true to sort here by `by(row)` or the field
                 at     'l': only from 1200 px up, 'm': only from 900; below, it is in the opened row
       key       name of the field that tells rows apart; detail: (row) => nodes of the opened row
       select    {has(id), flip(row), all(rows)} adds boxes; mark: (row) => class of the row
   shown(rows, columns, query)   a whole collection, sorted and cut to one page: {rows, total, page, size}
   search                        query parameters sort, order, page, size for a page's params: search(...keys) */

import { h, update } from './dom.js';
import { count } from './format.js';
import { int, one } from './router.js';
import { store } from './api.js';

const SIZES = ['20', '50', '100'];
export const pageSize = () => (SIZES.includes(store.get('gqm-page-size')) ? +store.get('gqm-page-size') : 20);
export const keepSize = (changes) => { if (changes.size) store.set('gqm-page-size', String(changes.size)); return changes; };

/** Parameters of a sorted, paged list; the first key is the default. */
export const listParams = (keys, order = 'asc') => ({
  sort: one(keys[0], ...keys), order: one(order, 'asc', 'desc'), page: int(1, 1, 1e6),
  size: { ...one(null, ...SIZES), get fallback() { return pageSize(); }, read: (text) => (SIZES.includes(text) ? +text : undefined) },
});

export function shown(rows, columns, { sort, order, page, size }) {
  const column = columns.find((item) => item.key === sort);
  const value = (row) => (column.by ? column.by(row) : row[sort]) ?? null;
  const turn = order === 'desc' ? -1 : 1;
  const compare = (a, b) => {
    const x = value(a), y = value(b);
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
    return turn * (typeof x === 'string' ? x.localeCompare(y, 'en', { numeric: true }) : x - y);
  };
  const sorted = column ? [...rows].sort(compare) : rows;
  const last = Math.max(1, Math.ceil(sorted.length / size)), at = Math.min(page, last);
  return { rows: sorted.slice((at - 1) * size, at * size), total: sorted.length, page: at, size };
}

export const caption = (what, { page, size, total, more }) => (total
  ? `${what} ${count((page - 1) * size + 1)}–${count(Math.min(page * size, total))} of ${more ? 'at least ' : ''}${count(total)}` : what);

const head = (column, { query, set }) => {
  const { key, label, num, at, hidden } = column;
  const name = typeof column.sort === 'string' ? column.sort : key;
  const on = column.sort && query.sort === name;
  const flip = () => set({ sort: name, order: on ? (query.order === 'asc' ? 'desc' : 'asc') : num ? 'desc' : 'asc', page: 1 });
  const cls = [num && 'num', at && `at-${at}`].filter(Boolean).join(' ') || null;
  return h('th', { key, scope: 'col', class: cls, 'aria-sort': on ? (query.order === 'asc' ? 'ascending' : 'descending') : null },
    column.sort ? h('button', { class: 'sort', onclick: flip }, label, h('span.arrow', { 'aria-hidden': 'true' }, on ? (query.order === 'asc' ? '▲' : '▼') : ''))
      : hidden ? h('span.unseen', label) : label);
};

export function table({ ctx, id, columns, rows, key = 'id', caption: title, detail, select, onopen, mark }) {
  const open = (ctx.local[`open-${id}`] ??= new Set());
  const late = columns.filter((column) => column.at);
  const opens = detail || late.length;
  const cell = (column, row) => (column.cell ? column.cell(row) : row[column.key] ?? '–');
  const toggle = (row) => { open.has(row[key]) ? open.delete(row[key]) : open.add(row[key]); onopen?.(row, open.has(row[key])); update(); };
  const width = columns.length + (select ? 1 : 0) + (opens ? 1 : 0);
  const togglerClass = `tog${detail ? '' : late.some((column) => column.at === 'l') ? ' below-l' : ' below-m'}`;

  const line = (row) => {
    const isOpen = open.has(row[key]), chosen = select?.has(row[key]);
    const [first, ...others] = columns;
    const td = (column) => h('td', { key: column.key, class: [column.num && 'num', column.at && `at-${column.at}`, column.key === 'actions' && 'acts'].filter(Boolean).join(' ') || null, 'data-label': column.hidden ? null : column.label }, cell(column, row));
    return [h('tr', { key: row[key], class: [chosen && 'chosen', mark?.(row)].filter(Boolean).join(' ') || null },
      select && h('td.box', h('input', { type: 'checkbox', checked: Boolean(chosen), 'aria-label': `Select ${row[key]}`, onchange: () => { select.flip(row); update(); } })),
      h('th', { scope: 'row' }, cell(first, row)), others.map(td),
      opens && h('td', { class: togglerClass }, h('button', { class: 'icon-button toggler', 'aria-expanded': String(isOpen), 'aria-label': `Details of ${row[key]}`, onclick: () => toggle(row) }))),
    isOpen && h('tr', { key: `${row[key]} open`, class: `opened${detail ? '' : ' ' + togglerClass.replace('tog ', '')}` }, h('td', { colspan: String(width) },
      late.length > 0 && h('dl.facts.late-columns', late.map((column) => h('div', { key: column.key, class: `below-${column.at}` }, h('dt', column.label), h('dd', cell(column, row))))),
      detail?.(row)))];
  };

  return h('div.table-box', h('table', { id },
    h('caption', title),
    h('thead', h('tr', null,
      select && h('th', { scope: 'col', class: 'box' }, h('input', { type: 'checkbox', 'aria-label': 'Select this page', checked: rows.length > 0 && rows.every((row) => select.has(row[key])),
        indeterminate: rows.some((row) => select.has(row[key])) && !rows.every((row) => select.has(row[key])), onchange: () => { select.all(rows); update(); } })),
      columns.map((column) => head(column, ctx)),
      opens && h('th', { scope: 'col', class: togglerClass }, h('span.unseen', 'Details')))),
    h('tbody', rows.map(line))));
}
