/* The table of every list: sorting heads, opened rows, selection, cards on narrow screens. */

import {store} from './api.js';
import {h, update} from './dom.js';
import {count} from './format.js';
import {int, one} from './router.js';
import {exportMenu, filters, pager, panel, timeCell} from './ui.js';

const SIZES = ['20', '50', '100'], size = (text) => (SIZES.includes(text) ? +text : undefined);
export const keepSize = (changes) => { if (changes.size) store.set('gqm-page-size', changes.size); return changes; };
export const listParams = (keys, order = 'asc') => ({sort: one(keys[0], ...keys), order: one(order, 'asc', 'desc'), page: int(1, 1, 1e6), size: {read: size, get fallback() { return size(store.get('gqm-page-size')) || 20; }}});

export function shown(rows, columns, {sort, order, page, size}) {
  const by = columns.find(({key}) => key === sort)?.by || ((row) => row[sort]), turn = order === 'desc' ? -1 : 1;
  const sorted = [...rows].sort((a, b) => {
    const x = by(a) ?? null, y = by(b) ?? null;
    if (x === null || y === null) return (x === null) - (y === null);
    return turn * (typeof x === 'string' ? x.localeCompare(y, 'en', {numeric: true}) : x - y);
  });
  page = Math.min(page, Math.max(1, Math.ceil(rows.length / size)));
  return {rows: sorted.slice((page - 1) * size, page * size), total: rows.length, page, size};
}

export const caption = (what, {page, size, total, more}) => (total ? `${what} ${count((page - 1) * size + 1)}–${count(Math.min(page * size, total))} of ${more ? 'at least ' : ''}${count(total)}` : what);

const plain = (value) => (value === '' || value == null ? '–' : typeof value === 'number' ? count(value) : value);
const cellOf = ({cell, key, time}, row) => (cell ? cell(row) : time ? timeCell(row[key]) : plain(row[key]));

const classes = ({num, at}) => [num && 'num', at && `at-${at}`].filter(Boolean).join(' ');

function head(column, {query, set}) {
  const {key, label, num, hidden, sort} = column, on = sort && query.sort === key, up = query.order === 'asc';
  const flip = () => set({sort: key, order: on ? (up ? 'desc' : 'asc') : num ? 'desc' : 'asc', page: 1});
  return h('th', {key, scope: 'col', class: classes(column), 'aria-sort': on ? (up ? 'ascending' : 'descending') : null},
    sort ? h('button.sort', {onclick: flip}, label, h('span.arrow', {'aria-hidden': 'true'}, on && (up ? '▲' : '▼'))) : hidden ? h('span.unseen', label) : label);
}

export function table({ctx, id, columns, rows, key = 'id', caption: title, detail, select, onopen}) {
  const open = (ctx.local[`open-${id}`] ??= new Set()), late = columns.filter(({at}) => at), opens = detail || late.length > 0;
  const below = detail ? '' : late.some(({at}) => at === 'l') ? ' below-l' : ' below-m', chosen = rows.filter((row) => select?.has(row[key])).length;

  function line(row) {
    const name = row[key], on = open.has(name), [first, ...others] = columns;
    const toggle = () => { if (on) open.delete(name); else open.add(name); onopen?.(row, !on); update(); };
    return [h('tr', {key: name, class: select?.has(name) && 'chosen'},
      select && h('td.box', h('input', {type: 'checkbox', checked: select.has(name), 'aria-label': `Select ${name}`, onchange: () => { select.flip(row); update(); }})),
      opens && h('td', {key: ' ', class: `tog${below}`}, h('button.icon-button.toggler', {'aria-expanded': String(on), 'aria-label': `Details of ${name}`, onclick: toggle})),
      h('th', {scope: 'row'}, cellOf(first, row)), others.map((column) => h('td', {key: column.key, class: classes(column), 'data-label': column.hidden ? null : column.label}, cellOf(column, row)))),
    on && h('tr', {key: `${name} `, class: `opened${below}`}, h('td', {colspan: 99},
      late.length > 0 && h('dl.facts.below-l', late.map((column) => h('div', {key: column.key, class: `below-${column.at}`}, h('dt', column.label), h('dd', cellOf(column, row))))), detail?.(row)))];
  }

  return h('div.table-box', h('table', {id}, h('caption', title), h('thead', h('tr',
    select && h('th.box', {scope: 'col'}, h('input', {type: 'checkbox', 'aria-label': 'Select this page', checked: chosen > 0 && chosen === rows.length, indeterminate: chosen > 0 && chosen < rows.length, onchange: () => { select.all(rows); update(); }})),
    opens && h('th', {scope: 'col', class: `tog${below}`}, h('span.unseen', 'Details')), columns.map((column) => head(column, ctx)))), h('tbody', rows.map(line))));
}

/** One page of a list as the API pages it; while the next one is fetched, `loaded` is the one whose rows are shown. */
export const paged = ({query: {page, size}}, {data = [], meta = {}}) => ({rows: data, total: meta.total || 0, page, size, more: meta.truncated, loaded: {page: meta.page || page, size: meta.limit || size}});

export function list({ctx, id, title, source, fields = [], columns, part, what, empty, all, more = [], hide, ...rest}) {
  const {query} = ctx, found = filters(fields, query, ctx.set), own = !part, {rows, total} = (part ??= paged(ctx, source));
  return [!hide && found.node, panel({id: `${id}-list`, title, source, flush: true, empty: own && (found.active || query.page > 1) ? null : empty,
    actions: !hide && rows.length > 0 && exportMenu(id, rows, [...columns, ...more]),
    body: () => (rows.length || hide || (own && query.page > 1) ? [table({ctx, id, columns, rows, caption: caption(what, {...part, ...part.loaded}), ...rest}), pager({...part, onset: ctx.set})] : found.none(all ?? total))})];
}
