/* Jobs that depend on jobs: chains, those that wait, and the graph of one. */

import {path} from '../api.js';
import {h, update} from '../dom.js';
import {count, plural, short} from '../format.js';
import {go, int, link, one, text} from '../router.js';
import {caption, keepSize, listParams, table} from '../table.js';
import {anchor, badge, jobLink, look, pager, panel, queueLink, word} from '../ui.js';

let drawing = null;
const draw = () => { import('../dag.js').then((module) => { drawing = module; update(); }, () => setTimeout(draw, 5000)); };

function rollup({rollup: sums = {}, rollup_truncated: cut}) {
  const parts = Object.entries(sums).filter(([, n]) => n), said = parts.map(([status, n]) => `${count(n)} ${word(status)}`).join(', ') + (cut ? ', and more' : '');
  return h('span.rollup', {title: said}, h('span', {'aria-hidden': 'true'}, parts.map(([status, n]) => h('i', {key: status, style: {flex: n, background: `var(--${look(status)})`}}))), h('small', said));
}

const CHAINS = [{key: 'id', label: 'Root', cell: ({id}) => anchor('dag', id, short(id))}, {key: 'type', label: 'Type'}, {key: 'status', label: 'Status', cell: ({status}) => badge(status)}, {key: 'queue', label: 'Queue', at: 'm', cell: queueLink},
  {key: 'child_count', label: 'Children', num: true, at: 'm'}, {key: 'rollup', label: 'Whole chain', cell: rollup}, {key: 'created_at', label: 'Created', at: 'm', time: true}];
const WAITING = [{key: 'id', label: 'Job', cell: ({id}) => jobLink(id)}, {key: 'type', label: 'Type'}, {key: 'queue', label: 'Queue', at: 'm', cell: queueLink},
  {key: 'pending_deps', label: 'Waits for', cell: (row) => h('span', row.pending_deps.slice(0, 5).map((id) => [jobLink(id), ' ']), row.pending_deps.length > 5 && `and ${count(row.pending_deps.length - 5)} more`)}, {key: 'open', label: 'Graph', cell: ({id}) => anchor('dag', id, 'Open')}];

const idBox = () => h('form.id-box', {onsubmit: (event) => { event.preventDefault(); go(link('dag', event.target.elements.job.value.trim())); }},
  h('label.field', h('span', 'Job id'), h('input', {name: 'job', type: 'search', required: true, maxlength: '256', pattern: '[A-Za-z0-9._\\-]+', autocomplete: 'off', spellcheck: 'false'})), h('button', {type: 'submit'}, 'Open graph'));

function list(ctx, name, what, source, page, {title, empty, columns}) {
  const part = {page: ctx.query[page], size: ctx.query.size, total: source.meta?.total || 0, more: source.meta?.truncated};
  const onset = (changes) => ctx.set(keepSize(changes.size ? {page: 1, waiting: 1, size: changes.size} : {[page]: changes.page}));
  return panel({id: name, title, source, flush: true, empty: part.page > 1 ? null : empty, body: (rows) => [table({ctx, id: `${name}-list`, columns, rows, caption: caption(what, part)}), pager({...part, onset, name: page === 'page' ? '' : `${name}-`})]});
}

export default {
  params: {...listParams(['layer', 'id', 'type', 'status']), waiting: int(1, 1, 1e6), depth: int(10, 1, 50), limit: int(50, 10, 500), node: text(256, /^[A-Za-z0-9._-]*$/), view: one('', 'graph', 'list')},
  title: ({id}) => (id === null ? 'DAG' : `Graph of ${id}`),
  crumb: ({id}) => id ?? 'DAG',
  parent: ({id}) => id !== null && {href: link('dag'), label: 'DAG'},
  summary: ({data: {graph}}) => graph?.data && `${plural(graph.data.nodes.length, 'job')} in ${plural(graph.data.layers, 'layer')}`,
  actions: ({id}) => (id === null ? idBox() : anchor('jobs', id, 'Open job')),
  sources: ({id, query: {page, waiting, size, depth, limit}}) => (id !== null ? {graph: {path: path`/dag/${id}/graph`, query: {depth, max_nodes: limit}}}
    : {roots: {path: '/dag/roots', query: {rollup: true, page, limit: size}}, deferred: {path: '/dag/deferred', query: {page: waiting, limit: size}}}),
  events: ({kind, job_id: changed}, {id, data: {graph}}) => kind === 'job' && (id === null || !graph?.data || graph.data.nodes.some((node) => node.id === changed)),
  view(ctx) {
    const {id, data: {roots, deferred, graph}} = ctx;
    if (id === null) {
      return [list(ctx, 'chains', 'Chains', roots, 'page', {title: 'Chains', columns: CHAINS, empty: 'No chain yet: a job that others depend on begins one.'}),
        list(ctx, 'deferred', 'Waiting jobs', deferred, 'waiting', {title: 'Deferred', columns: WAITING, empty: 'No deferred jobs: none waits for another.'})];
    }
    if (!drawing) draw();
    return panel({id: 'graph', source: drawing ? graph : {}, bare: true, gone: {text: `Job ${id} does not exist or has expired`, href: link('dag'), label: 'All chains'}, body: (data) => drawing.view(ctx, data)});
  },
};
