/* The graph of a job: places come from the server; zoom, pan, a walk by keys, a panel on one job, and the same as a list. */

import {jobControls} from './actions.js';
import {h, s, update} from './dom.js';
import {count, duration, short} from './format.js';
import {go, link} from './router.js';
import {caption, shown, table} from './table.js';
import {anchor, badge, copy, exportMenu, facts, glyph, jobLink, look, pager, panel, queueLink, timeCell, word} from './ui.js';

const W = 168, H = 52, STEP_X = W + 28, STEP_Y = H + 64, EDGE = 24;
const cut = (text, n) => (text.length > n ? text.slice(0, n - 1) + '…' : text);
const near = (edges, id, from, to) => edges.filter((edge) => edge[from] === id).map((edge) => edge[to]);
const parents = (edges, id) => near(edges, id, 'target', 'source'), children = (edges, id) => near(edges, id, 'source', 'target');

function places(nodes) {
  const wide = {};
  for (const {layer} of nodes) wide[layer] = (wide[layer] || 0) + 1;
  return new Map(nodes.map((node) => [node.id, {node, x: (node.order - (wide[node.layer] - 1) / 2) * STEP_X, y: node.layer * STEP_Y}]));
}

const graphAt = ({depth, limit, view}, id, node) => link('dag', id, {depth: depth !== 10 && depth, limit: limit !== 50 && limit, view, node});

// ------------------------------------------------------------------ what is looked at

class Look {
  k = 1;
  x = 0;
  y = 0;
  at = null;
  #fitted = '';
  #box = null;

  move() { this.g?.setAttribute('transform', this.transform); }
  get transform() { return `translate(${this.x.toFixed(1)} ${this.y.toFixed(1)}) scale(${this.k.toFixed(3)})`; }

  zoom(k, [px, py] = this.#box.map((n) => n / 2)) {
    k = Math.max(0.2, Math.min(3, k));
    this.x = px - ((px - this.x) * k) / this.k;
    this.y = py - ((py - this.y) * k) / this.k;
    this.k = k;
    this.move();
  }

  fit({layers, width, root_id: root}, spots, least = 0.2) {
    const [w, t] = this.#box, wide = width * STEP_X, tall = (layers - 1) * STEP_Y + H + EDGE, {x, y} = spots.get(root), k = Math.min(1, w / wide, t / (tall + EDGE));
    this.k = Math.max(least, k);
    // What does not fit even so begins with the job that was asked for.
    this.x = w / 2 - (k < least ? x * this.k : 0);
    this.y = k < least ? t / 2 - (y + H / 2) * this.k : Math.max(EDGE * k, (t - (tall - EDGE) * k) / 2);
    this.move();
  }

  /** Fits once for each graph that is asked for, not for each answer; so that it can be read. */
  fitOnce(name, graph, spots) {
    if (!this.#box || this.#fitted === name) return;
    this.#fitted = name;
    this.fit(graph, spots, 0.6);
  }

  watch(el) {
    new ResizeObserver(() => { if (el.clientWidth) { this.#box = [el.clientWidth, el.clientHeight]; update(); } }).observe(el);
  }

  reveal({x, y}) {
    const [w, t] = this.#box, into = (at, size, room) => (at < EDGE ? EDGE - at : at + size > room - EDGE ? room - EDGE - at - size : 0);
    this.x += into(this.x + (x - W / 2) * this.k, W * this.k, w);
    this.y += into(this.y + y * this.k, H * this.k, t);
    this.move();
  }
}

// ------------------------------------------------------------------ drawing

const more = (n, y, again) => n > 0 && s('g.more', {transform: `translate(${W / 2} ${y})`, onclick: again}, s('title', `${count(n)} more: graph of this job`), s('rect', {x: -17, y: -9, width: 34, height: 18, rx: 9}), s('text', {y: 4, 'text-anchor': 'middle'}, `+${n}`));

function box({node, x, y}, {root, chosen, stop, pick, again}) {
  const {id, type, status, retry_count: tries, max_retry: most, execution_duration: ran} = node, tone = `var(--${look(status)})`;
  return s('g.node', {key: id, class: chosen && 'chosen', transform: `translate(${x - W / 2} ${y})`, role: 'button', tabindex: stop ? '0' : '-1', 'data-id': id, 'aria-pressed': String(chosen), 'aria-label': `${type}, ${id}, ${word(status)}${root ? ', the job asked for' : ''}`, onclick: () => pick(id)},
    s('title', `${type} ${id}`), s('rect', {width: W, height: H, rx: 8, style: {stroke: tone, 'stroke-dasharray': node.allow_failure ? '6 4' : ''}}), root && s('rect.inner', {x: 3.5, y: 3.5, width: W - 7, height: H - 7, rx: 5, style: {stroke: tone}}),
    s('text.glyph-at', {x: 19, y: 31, 'text-anchor': 'middle', style: {fill: tone}}, glyph(status)),
    s('svg', {x: 34, width: W - 40, height: H}, s('text.type', {y: 23, ...(type.length > 17 && {textLength: W - 44, lengthAdjust: 'spacingAndGlyphs'})}, cut(type || '–', 20)), s('text.small-text', {y: 40}, `${id.slice(0, 8)} · ${ran != null ? duration(ran) : `${tries} / ${most} tries`}`)),
    more(node.hidden_parents, 0, again), more(node.hidden_children, H, again));
}

function edge({source, target}, spots) {
  const a = spots.get(source), b = spots.get(target), y = a.y + H;
  return s('path', {key: `${source} ${target}`, d: `M${a.x} ${y}C${a.x} ${y + 40} ${b.x} ${b.y - 44} ${b.x} ${b.y - 3}`, 'marker-end': 'url(#arrow)'});
}

/** A pointer that is held and moved pans; what ends such a move is no click. */
const drags = (eye) => ({
  onpointerdown: ({button, clientX, clientY}) => { eye.from = button === 0 && [clientX, clientY, eye.x, eye.y]; eye.dragged = false; },
  onpointermove: (event) => {
    const {clientX, clientY, currentTarget: el, pointerId, buttons} = event, [x, y, left, top] = (buttons && eye.from) || [];
    if (x === undefined || (!eye.dragged && Math.hypot(clientX - x, clientY - y) < 5)) return;
    if (!eye.dragged) el.setPointerCapture(pointerId);
    eye.dragged = true;
    Object.assign(eye, {x: left + clientX - x, y: top + clientY - y});
    eye.move();
  },
});

function picture(ctx, graph, eye, pick) {
  const {nodes, edges, root_id: root} = graph, {node: chosen, depth, limit} = ctx.query, spots = places(nodes);
  const stop = spots.has(eye.at) ? eye.at : spots.has(chosen) ? chosen : root;
  const walk = (event) => {
    const id = event.target.dataset?.id, here = spots.get(id)?.node, beside = (by) => nodes.find(({layer, order}) => layer === here.layer && order === here.order + by)?.id;
    const to = here && {ArrowUp: () => parents(edges, id)[0], ArrowDown: () => children(edges, id)[0], ArrowLeft: () => beside(-1), ArrowRight: () => beside(1), Enter: () => { pick(id); }, ' ': () => { pick(id); }}[event.key];
    if (!to || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const next = to();
    if (!next) return;
    eye.at = next;
    eye.reveal(spots.get(next));
    event.currentTarget.querySelector(`[data-id="${CSS.escape(next)}"]`).focus({preventScroll: true});
    update();
  };
  eye.fitOnce(`${depth} ${limit}`, graph, spots);
  return {spots, svg: s('svg.graph', {role: 'group', 'aria-label': 'Graph of jobs. Arrow keys walk, Enter opens, Escape closes.', ref: (el) => eye.watch(el), onkeydown: walk, ...drags(eye), onwheel: (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const {left, top} = event.currentTarget.getBoundingClientRect();
    eye.zoom(eye.k * Math.exp(-event.deltaY / 400), [event.clientX - left, event.clientY - top]);
  }},
  s('marker', {id: 'arrow', viewBox: '0 0 8 8', refX: 6, refY: 4, markerWidth: 8, markerHeight: 8, orient: 'auto'}, s('path', {d: 'M0 0L8 4L0 8z'})),
  s('g', {transform: eye.transform, ref: (el) => { eye.g = el; }}, s('g.edges', edges.map((each) => edge(each, spots))),
    nodes.map(({id}) => box(spots.get(id), {root: id === root, chosen: id === chosen, stop: id === stop, pick, again: (event) => { event.stopPropagation(); go(graphAt(ctx.query, id)); }}))))};
}

function about(ctx, graph, {node}) {
  const {id, created_at: created, started_at: started, completed_at: ended, execution_duration: ran} = node, {edges} = graph;
  const jobs = (ids) => ids.length > 0 && ids.map((other) => [h('a', {href: graphAt(ctx.query, ctx.id, other), title: other}, short(other)), ' ']), at = (time) => time && timeCell(time);
  return h('section.panel.node-panel', {'aria-label': `Job ${id}`}, h('header', h('h2', node.type || id), h('div.actions', h('button.icon-button', {'aria-label': 'Close', onclick: () => ctx.set({node: ''})}, '✕'))), h('div', facts([
    ['Id', h('span', id, copy(id))], ['Status', badge(node.status)], ['Queue', node.queue && queueLink(node)], ['May fail', node.allow_failure && 'goes on if parents fail'], ['Created', at(Number(created))], ['Started', at(started)], ['Finished', at(ended)],
    ['Duration', ran != null && duration(ran)], ['Tries', `${node.retry_count} / ${node.max_retry}`], ['Error', node.error && h('span.bad', node.error)], ['Parents', jobs(parents(edges, id))], ['Children', jobs(children(edges, id))],
  ]), h('p', anchor('jobs', id, 'Open job'), ' · ', h('a', {href: graphAt(ctx.query, id)}, 'Open graph here')), h('div.actions', (jobControls(node) || []).slice(0, 3))));
}

function list(ctx, {nodes, edges}) {
  const names = (find) => ({id}) => h('span', find(edges, id).map((other) => [jobLink(other), ' ']), !find(edges, id).length && '–'), words = (find) => ({id}) => find(edges, id).join(' ');
  const columns = [{key: 'id', label: 'Job', sort: true, cell: ({id}) => jobLink(id)}, {key: 'layer', label: 'Layer', sort: true, by: ({layer, order}) => layer * 1000 + order, cell: ({layer}) => count(layer + 1)}, {key: 'type', label: 'Type', sort: true},
    {key: 'status', label: 'Status', sort: true, cell: ({status}) => badge(status)}, {key: 'parents', label: 'Parents', text: words(parents), cell: names(parents)}, {key: 'children', label: 'Children', text: words(children), cell: names(children)}];
  const part = shown(nodes, columns, ctx.query);
  return panel({id: 'graph-list', title: 'Jobs by layer', flush: true, actions: exportMenu('graph', part.rows, columns), body: () => [table({ctx, id: 'nodes', columns, rows: part.rows, caption: caption('Jobs', part)}), pager({...part, onset: ctx.set})]});
}

export function view(ctx, graph) {
  const {query} = ctx, {depth, limit} = query, kind = query.view || (innerWidth < 600 ? 'list' : 'graph'), eye = (ctx.local.eye ??= new Look());
  const pick = (node) => { if (!eye.dragged) { eye.at = node; ctx.set({node}); } };
  const drawn = kind === 'graph' && picture(ctx, graph, eye, pick), at = drawn && drawn.spots.get(query.node);
  const number = (name, label, low, high) => h('label.field', h('span', label), h('input', {type: 'number', min: low, max: high, value: String(query[name]), onchange: ({target}) => { if (target.reportValidity()) ctx.set({[name]: +target.value}); }}));
  const button = (label, name, act) => h('button', {'aria-label': name, onclick: act}, label), which = (name, label) => h('button', {'aria-pressed': String(kind === name), onclick: () => ctx.set({view: name})}, label);
  return [h('div.graph-tools', h('div.actions', which('graph', 'Graph'), which('list', 'List')), h('div.actions', number('depth', 'Depth', 1, 50), number('limit', 'Most jobs', 10, 500)),
    drawn && h('div.actions', button('−', 'Zoom out', () => eye.zoom(eye.k / 1.25)), button('+', 'Zoom in', () => eye.zoom(eye.k * 1.25)), button('Fit', 'Fit', () => eye.fit(graph, drawn.spots)), button('100 %', 'Full size', () => eye.zoom(1))),
    h('div.actions', Object.entries(graph.counts).map(([status, n]) => h('span', {key: status}, badge(status, `${word(status)} ${count(n)}`))))),
  graph.truncated && h('div.banner', {role: 'status'}, `${count(graph.hidden)} more jobs are not shown.`, (limit < 500 || depth < 50) && h('button.small', {onclick: () => ctx.set({limit: Math.min(500, limit * 2), depth: Math.min(50, depth * 2)})}, 'Show more')),
  drawn ? h('div.graph-box', {onkeydown: ({key, currentTarget}) => {
    if (key !== 'Escape' || !query.node) return;
    ctx.set({node: ''});
    currentTarget.querySelector('[tabindex="0"].node')?.focus({preventScroll: true});
  }}, h('div.panel.graph-frame', drawn.svg), at && about(ctx, graph, at)) : list(ctx, graph)];
}
