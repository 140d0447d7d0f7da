/* Charts as SVG: lines or stacked bars over time, read by pointer and keys, and the same numbers as a table. */

import {h, s, update} from './dom.js';
import {clock, count, duration} from './format.js';
import {choose, glyph, look, panel, word} from './ui.js';

const RIGHT = 12, TOP = 10, BOTTOM = 24;
const told = (value, format) => (value === null ? 'none' : format(value));

/** At most six round whole numbers from 0 up to at least `most`. */
function ticks(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, most / 4))), step = [1, 2, 5, 10].find((n) => n * power * 4 >= most) * power;
  return Array.from({length: Math.max(2, Math.ceil(most / step) + 1)}, (_, i) => i * step);
}

function line(values, x, y) {
  let gap = true;
  return values.map((value, i) => {
    if (value === null) { gap = true; return ''; }
    // A point between two gaps would be a line without length.
    const text = `${gap ? 'M' : 'L'}${x(i).toFixed(1)} ${y(value).toFixed(1)}${gap && (values[i + 1] ?? null) === null ? 'h.1' : ''}`;
    gap = false;
    return text;
  }).join('');
}

function drawing({series, bars, format}, points, state) {
  const width = state.width || 600, height = innerWidth < 600 ? 160 : 220, sums = points.map(({values}) => (bars ? values.reduce((a, b) => a + b, 0) : Math.max(0, ...values)));
  const levels = ticks(Math.max(0, ...sums)), left = state.left = 14 + 7 * Math.max(...levels.map((v) => format(v).length));
  const room = width - left - RIGHT, slot = room / Math.max(1, bars ? points.length : points.length - 1), bar = Math.max(1, Math.min(28, slot * 0.7));
  const x = (i) => left + slot * (bars ? i + 0.5 : i), y = (v) => TOP + (height - TOP - BOTTOM) * (1 - v / levels.at(-1));
  const every = Math.ceil(points.length / Math.min(6, Math.max(2, Math.floor(room / 90)))), at = points[state.at], colour = (k, of = 'stroke') => ({[of]: `var(--${series[k][1]})`});
  const stack = ({values: [low, high]}, i) => [[0, low, colour(0, 'fill')], [low, low + high, {fill: 'url(#hatch)'}]].map(([from, to, style]) => to > from && s('rect', {x: x(i) - bar / 2, y: y(to), width: bar, height: y(from) - y(to), style}));
  return s('svg', {width, height, 'aria-hidden': 'true'},
    bars && s('pattern', {id: 'hatch', width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)'}, s('rect', {width: 2.5, height: 5, style: colour(1, 'fill')})),
    levels.map((v) => [s('line.rule', {x1: left, x2: width - RIGHT, y1: y(v), y2: y(v)}), s('text', {x: left - 8, y: y(v) + 4, 'text-anchor': 'end'}, format(v))]),
    points.map(({axis}, i) => i % every === 0 && x(i) < width - 20 && s('text', {x: x(i), y: height - 6, 'text-anchor': i || bars ? 'middle' : 'start'}, axis)),
    bars ? points.map(stack) : series.map((_, k) => s('path.line', {class: k && 'dashed', d: line(points.map(({values}) => values[k]), x, y), style: colour(k)})),
    at && s('line.cursor', {x1: x(state.at), x2: x(state.at), y1: TOP, y2: height - BOTTOM}),
    at && !bars && series.map((_, k) => at.values[k] !== null && s('circle', {cx: x(state.at), cy: y(at.values[k]), r: 4, style: colour(k, 'fill')})));
}

const legend = ({series, format}, at) => h('div.legend', series.map(([name, tone], k) => h('span', s('svg', {width: 22, height: 10, 'aria-hidden': 'true'}, s('path.line', {class: k && 'dashed', d: 'M1 5h20', style: {stroke: `var(--${tone})`}})), name, at && h('b', told(at.values[k], format)))),
  h('span.when', {role: 'status'}, at && h('span.unseen', series.map(([name], k) => `${name} ${told(at.values[k], format)}, `)), at?.label));

const numbers = ({title, unit, series, format}, points) => h('div.numbers', {tabindex: '0', role: 'region', 'aria-label': `${title}, numbers`}, h('table', h('caption', `${title}, ${unit}`),
  h('thead', h('tr', h('th', {scope: 'col'}, 'Time'), series.map(([name]) => h('th.num', {scope: 'col'}, name)))),
  h('tbody', points.toReversed().map(({label, values}) => h('tr', {key: label}, h('th', {scope: 'row'}, label), values.map((v) => h('td.num', told(v, format))))))));

export function chart({format = count, ...spec}) {
  const {ctx, id, title, unit, source, bars, ranges, range, onrange} = Object.assign(spec, {format}), state = (ctx.local[`chart-${id}`] ??= {width: 0, at: null, table: false});
  const ref = (el) => new ResizeObserver(() => { if (el.clientWidth && el.clientWidth !== state.width) { state.width = el.clientWidth; update(); } }).observe(el);
  const body = (data) => {
    const points = spec.points(data), last = points.length - 1, {at} = state;
    const move = (to) => { state.at = to === null ? null : Math.max(0, Math.min(last, to)); update(); }, leave = () => move(null);
    const onkeydown = (event) => {
      const to = {ArrowLeft: (at ?? last + 1) - 1, ArrowRight: (at ?? -1) + 1, Home: 0, End: last, Escape: null}[event.key];
      if (to !== undefined) { event.preventDefault(); move(to); }
    };
    const onpointermove = ({clientX, currentTarget}) => {
      const share = (clientX - currentTarget.getBoundingClientRect().left - state.left) / (state.width - state.left - RIGHT);
      move(bars ? Math.floor(share * points.length) : Math.round(share * last));
    };
    return state.table ? numbers(spec, points) : [legend(spec, points[at]), h('div.plot', {tabindex: '0', role: 'group', 'aria-label': `${title}, ${unit}. Left and Right read the values.`, ref, onkeydown, onblur: leave, onpointerleave: leave, onpointermove}, drawing(spec, points, state))];
  };
  return panel({id, title: [title, h('small', unit)], source, body, actions: [choose(`Range of ${title}`, ranges, range, (value) => onrange(+value)),
    h('button.small.quiet', {'aria-pressed': String(state.table), onclick: () => { state.table = !state.table; update(); }}, state.table ? 'Show as chart' : 'Show as table')]});
}

/** The minute that still runs is left out. */
export function minuteCharts(ctx, source) {
  const points = (...names) => ([{minutes}]) => minutes.filter(({minute}) => minute + 60 <= ctx.now).map((item) => ({label: clock(item.minute), axis: clock(item.minute), values: names.map((name) => item[name])}));
  const common = {ctx, source, range: ctx.query.range, onrange: (range) => ctx.set({range}), ranges: [[60, '60 minutes'], [180, '3 hours']]};
  return h('div.grid-2', chart({...common, id: 'throughput', title: 'Throughput', unit: 'jobs per minute', points: points('processed', 'failed'), series: [['Processed', 'completed'], ['Failed', 'failed']]}),
    chart({...common, id: 'times', title: 'Times', unit: 'mean of each minute', format: duration, points: points('wait_avg_ms', 'run_avg_ms'), series: [['Wait', 'ready'], ['Run', 'deferred']]}));
}

export function spark(values, label) {
  const most = Math.max(1, ...values), tall = (v) => (v ? 2 + (18 * v) / most : 1);
  return s('svg.spark', {width: values.length * 7, height: 22, role: 'img', 'aria-label': `${label}: ${values.join(', ')}`}, values.map((v, i) => s('rect', {x: i * 7, width: 5, y: 21 - tall(v), height: tall(v)})));
}

export const outcomes = (list) => h('span.outcomes', {role: 'img', 'aria-label': `Newest first: ${list.map(word).join(', ')}`}, list.map((status) => h(`span.glyph.st-${look(status)}`, {title: word(status)}, glyph(status))));
