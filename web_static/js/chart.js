/* Charts as SVG: lines or stacked bars over time, read by pointer and keyboard, and the same numbers as a table.

   chart({ctx, id, title, unit, source, points, series, bars, say, format, ranges, range, onrange})
       points   (data) => [{label, axis, values: [n or null, …]}…], oldest first; null is a gap
       series   [{name, look}…]; look is a status whose colour is used; every second one is dashed or hatched
       format   of a value, also on the axis; integer: only whole ticks
   spark(values, label)    small bars, for a table cell
   outcomes(list)          glyphs of the newest runs */

import { h, s, update } from './dom.js';
import { count } from './format.js';
import { glyph, look, panel, word } from './ui.js';

const RIGHT = 12, TOP = 10, BOTTOM = 24;

/** At most six round numbers from 0 up to at least `most`. */
export function ticks(most, integer) {
  const rough = Math.max(most, integer ? 1 : 1e-9) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max([1, 2, 5, 10].find((n) => n * power >= rough) * power, integer ? 1 : 0);
  const found = [0];
  while (found.at(-1) < most || found.length < 2) found.push(found.length * step);
  return found;
}

function path(values, x, y) {
  let line = '', gap = true;
  values.forEach((value, i) => {
    if (value === null) { gap = true; return; }
    line += `${gap ? 'M' : 'L'}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
    // A point between two gaps would be a line without length.
    if (gap && (values[i + 1] ?? null) === null) line += 'h.1';
    gap = false;
  });
  return line;
}

function drawing({ points, series, bars, format, integer, state }) {
  const width = state.width || 600, height = innerWidth < 600 ? 160 : 220;
  const sum = (point) => (bars ? point.values.reduce((a, b) => a + b, 0) : Math.max(0, ...point.values.filter((v) => v !== null)));
  const levels = ticks(Math.max(0, ...points.map(sum)), integer), top = levels.at(-1);
  const left = (state.left = 14 + 7 * Math.max(...levels.map((v) => format(v).length)));
  const room = width - left - RIGHT, slot = room / Math.max(1, bars ? points.length : points.length - 1);
  const x = (i) => left + (bars ? slot * (i + 0.5) : slot * i), y = (v) => TOP + (height - TOP - BOTTOM) * (1 - v / top);
  const every = Math.ceil(points.length / Math.min(6, Math.max(2, Math.floor(room / 90))));
  const bar = Math.max(1, Math.min(28, slot * 0.7));
  const stacked = (point, i) => { let base = 0; return series.map(({ look: tone }, k) => {
    const value = point.values[k] || 0, at = base;
    base += value;
    return value > 0 && s('rect.bar', { x: x(i) - bar / 2, y: y(base), width: bar, height: Math.max(0.5, y(at) - y(base)), style: { fill: k ? 'url(#hatch)' : `var(--${tone})` } });
  }); };
  return s('svg', { width, height, viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true' },
    bars && s('defs', s('pattern', { id: 'hatch', width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
      s('rect', { width: 5, height: 5, style: { fill: `var(--${series[1].look}-bg)` } }), s('rect', { width: 2.5, height: 5, style: { fill: `var(--${series[1].look})` } }))),
    levels.map((v) => [s('line.rule', { x1: left, x2: width - RIGHT, y1: y(v), y2: y(v) }), s('text', { x: left - 8, y: y(v) + 4, 'text-anchor': 'end' }, format(v))]),
    points.map((point, i) => i % every === 0 && x(i) < width - 20 && s('text', { x: x(i), y: height - 6, 'text-anchor': i || bars ? 'middle' : 'start' }, point.axis)),
    bars ? points.map(stacked) : series.map(({ look: tone }, k) => s(k ? 'path.line.dashed' : 'path.line', { d: path(points.map((p) => p.values[k]), x, y), style: { stroke: `var(--${tone})` } })),
    state.at !== null && points[state.at] && [s('line.cursor', { x1: x(state.at), x2: x(state.at), y1: TOP, y2: height - BOTTOM }),
      !bars && series.map(({ look: tone }, k) => points[state.at].values[k] !== null && s('circle', { cx: x(state.at), cy: y(points[state.at].values[k]), r: 4, style: { fill: `var(--${tone})` } }))]);
}

function readout(points, { at }, series, format) {
  const point = at === null ? null : points[at];
  return h('div.legend', series.map(({ name, look: tone }, k) => h('span', { key: name },
    s('svg', { width: 22, height: 10, 'aria-hidden': 'true' }, s(k ? 'path.line.dashed' : 'path.line', { d: 'M1 5h20', style: { stroke: `var(--${tone})` } })), name,
    point && h('b', point.values[k] === null ? 'none' : format(point.values[k])))), h('span.when', { role: 'status' }, point && h('span.unseen', series.map(({ name }, k) => `${name} ${point.values[k] === null ? 'none' : format(point.values[k])}, `)), point?.label));
}

export function chart({ ctx, id, title, unit, source, points: read, series, bars = false, format = count, integer = false, ranges, range, onrange }) {
  const state = (ctx.local[`chart-${id}`] ??= { width: 0, at: null, table: false });
  const watch = (el) => new ResizeObserver(() => {
    if (el.clientWidth && el.clientWidth !== state.width) { state.width = el.clientWidth; update(); }
  }).observe(el);
  const body = (data) => {
    const points = read(data);
    const move = (at) => { state.at = at === null ? null : Math.max(0, Math.min(points.length - 1, at)); update(); };
    const keys = ({ key }) => ({ ArrowLeft: () => move((state.at ?? points.length) - 1), ArrowRight: () => move((state.at ?? -1) + 1), Home: () => move(0), End: () => move(points.length - 1), Escape: () => move(null) })[key];
    if (state.table) {
      return h('div.table-box.numbers', { tabindex: '0', role: 'region', 'aria-label': `${title}, numbers` }, h('table', h('caption', `${title}, ${unit}`),
        h('thead', h('tr', h('th', { scope: 'col' }, 'Time'), series.map(({ name }) => h('th.num', { scope: 'col' }, name)))),
        h('tbody', [...points].reverse().map((point) => h('tr', { key: point.label }, h('th', { scope: 'row' }, point.label), point.values.map((v) => h('td.num', v === null ? '–' : format(v))))))));
    }
    return [readout(points, state, series, format), h('div.plot', { tabindex: '0', role: 'group', 'aria-label': `${title}, ${unit}. Left and Right read the values.`, ref: watch,
      onkeydown: (event) => { const act = keys(event); if (act) { event.preventDefault(); act(); } },
      onblur: () => move(null), onpointerleave: () => move(null),
      onpointermove: (event) => {
        const box = event.currentTarget.getBoundingClientRect(), share = (event.clientX - box.left - state.left) / (box.width - state.left - RIGHT);
        move(bars ? Math.floor(share * points.length) : Math.round(share * (points.length - 1)));
      } }, drawing({ points, series, bars, format, integer, state }))];
  };
  return panel({ id, title: [title, h('small', unit)], source, body, actions: [
    ranges && h('select', { 'aria-label': `Range of ${title}`, value: String(range), onchange: (event) => onrange(+event.target.value) }, ranges.map(([value, text]) => h('option', { value: String(value) }, text))),
    h('button.small.quiet', { 'aria-pressed': String(state.table), onclick: () => { state.table = !state.table; update(); } }, state.table ? 'Show as chart' : 'Show as table')] });
}

/** Charts C1 and C2 of one queue or of all: what /stats/minutes tells, less the minute that still runs. */
export function minuteCharts({ ctx, source, clock, duration, count: n }) {
  const { range } = ctx.query, onrange = (value) => ctx.set({ range: value });
  const points = (...fields) => (data) => (data[0]?.minutes || []).filter(({ minute }) => minute + 60 <= ctx.now).map((item) => ({ label: clock(item.minute), axis: clock(item.minute), values: fields.map((name) => item[name]) }));
  const common = { ctx, source, range, onrange, ranges: [[60, '60 minutes'], [180, '3 hours']] };
  return [chart({ ...common, id: 'throughput', title: 'Throughput', unit: 'jobs per minute', integer: true, format: n, points: points('processed', 'failed'), series: [{ name: 'Processed', look: 'completed' }, { name: 'Failed', look: 'failed' }] }),
    chart({ ...common, id: 'times', title: 'Times', unit: 'mean of each minute', format: duration, points: points('wait_avg_ms', 'run_avg_ms'), series: [{ name: 'Wait', look: 'ready' }, { name: 'Run', look: 'deferred' }] })];
}

export function spark(values, label) {
  const most = Math.max(1, ...values);
  return h('span.spark', { title: label }, s('svg', { width: values.length * 7, height: 22, role: 'img', 'aria-label': `${label}: ${values.join(', ')}` },
    values.map((value, i) => s('rect', { x: i * 7, width: 5, y: value ? 20 - (18 * value) / most : 20, height: value ? (18 * value) / most + 1 : 1 }))));
}

export const outcomes = (list) => h('span.outcomes', { role: 'img', 'aria-label': `Newest first: ${list.map(word).join(', ')}` },
  list.map((status, i) => h(`span.glyph.st-${look(status)}`, { key: i, title: word(status) }, glyph(status))));
