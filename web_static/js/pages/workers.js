/* All workers (a pool on one server), or one: how busy they are, and what they are running. */

import {cancelJob} from '../actions.js';
import {path} from '../api.js';
import {h} from '../dom.js';
import {count, duration, plural} from '../format.js';
import {link, one, text} from '../router.js';
import {list, listParams, shown, table} from '../table.js';
import {anchor, badge, bar, chip, control, copy, panel, queueLink} from '../ui.js';

const COLUMNS = [
  {key: 'pool', label: 'Pool, server', sort: true, text: ({pool}) => pool, cell: ({id, pool, server_id: server}) => h('span.run', anchor('workers', id, pool), h('small', server ? anchor('servers', null, server, {q: server}) : 'no server known'))},
  {key: 'status', label: 'Status', sort: true, cell: ({status}) => badge(status)},
  {key: 'active_jobs', label: 'Slots', sort: true, text: (row) => `${row.active_jobs} / ${row.concurrency}`, cell: ({active_jobs: n, concurrency: slots, isolation}) => h('span.run', bar(n, slots, `${count(n)} / ${count(slots)}`), isolation && h('small', isolation === 'process' ? 'in processes' : 'in threads'))},
  {key: 'ahead', label: 'Ahead', num: true, sort: true, at: 'l'},
  {key: 'queues', label: 'Queues', text: ({queues}) => queues.join(', '), cell: ({queues}) => h('span', queues.map((name) => chip(name, link('queues', name))))},
  {key: 'longest', label: 'Longest job', sort: true, at: 'm', by: ({longest}) => longest?.elapsed_ms, text: ({longest}) => longest?.id,
    cell: ({longest: job}) => (job ? h('span.tight', h('a', {href: link('jobs', job.id), title: `${job.type} ${job.id}`}, duration(job.elapsed_ms)), job.over_deadline && [' ', badge('failed', 'over its deadline')]) : '–')},
  {key: 'abandoned', label: 'Abandoned', num: true, sort: true, at: 'l', cell: ({abandoned: n}) => h('span', {class: n ? 'bad' : 'muted'}, count(n))},
  {key: 'last_heartbeat', label: 'Heartbeat', num: true, sort: true, time: true},
  {key: 'started_at', label: 'Started', num: true, sort: true, at: 'l', time: true},
];
const MORE = [{key: 'server_id', label: 'Server'}, {key: 'isolation', label: 'Isolation'}];
const FIELDS = [{name: 'pool', label: 'Pool'}, {name: 'server', label: 'Server'}, {name: 'status', label: 'Status', type: 'choice', options: [['', 'All'], ['active', 'Active'], ['stopping', 'Stopping'], ['stale', 'Stale']]}];

/** The start is told in whole seconds, so the allowance is no more exact. */
const allowed = (ms, most) => (most > 0 ? bar(ms, most, `${duration(ms)} of ${duration(most)}`) : duration(ms));
const jobColumns = (admin) => [
  {key: 'id', label: 'Active job', cell: ({id}) => h('span', anchor('jobs', id), copy(id))}, {key: 'type', label: 'Type'}, {key: 'queue', label: 'Queue', cell: queueLink},
  {key: 'elapsed_ms', label: 'Elapsed of its time', cell: ({elapsed_ms: ms, started_at: from, processing_deadline: to}) => allowed(ms, Math.floor(to - from) * 1000)},
  ...(admin ? [{key: 'act', label: 'Cancel', hidden: true, cell: ({id}) => control('Cancel', () => cancelJob(id), {small: true, key: id, name: `Cancel ${id}`})}] : []),
];

/** The rows that are open; on the page of one worker that one, from the start. */
const open = ({id, local}) => (local['open-workers'] ??= new Set(id ? [id] : []));

function jobs(ctx, {id}) {
  const source = ctx.data[`w:${id}`];
  return source && panel({id: `jobs-of-${id}`, source, flush: true, body: ({jobs: rows}) => (rows.length ? table({ctx: {local: {}, query: {}}, id: `active-${id}`, columns: jobColumns(ctx.admin), rows, caption: `${plural(rows.length, 'active job')} of ${id}`}) : h('p.note', 'No active job.'))});
}

export default {
  params: {...listParams(COLUMNS.filter(({sort}) => sort).map(({key}) => key)), pool: text(), server: text(), status: one('', 'active', 'stopping', 'stale')},
  title: ({id}) => (id ? `Worker ${id}` : 'Workers'),
  crumb: ({id}) => id || 'Workers',
  parent: ({id}) => id && {href: link('workers'), label: 'Workers'},
  summary: ({id, data: {workers: {data}}}) => !id && data && `${plural(data.length, 'worker')}, ${count(data.reduce((sum, row) => sum + row.active_jobs, 0))} of ${plural(data.reduce((sum, row) => sum + row.concurrency, 0), 'slot')} busy`,
  // However many rows are open, the jobs of all of them are asked for at the pace of about one a second.
  sources: (ctx) => ({workers: {path: '/workers'}, ...Object.fromEntries([...open(ctx)].map((id) => [`w:${id}`, {path: path`/workers/${id}`, every: 1500 * open(ctx).size}]))}),
  // Heartbeats have no event of their own; the figures come every 5 s.
  events: ({kind}) => ['server', 'job', 'stats'].includes(kind),
  view(ctx) {
    const {id, query, data} = ctx, source = data.workers, all = source.data || [];
    if (id && data[`w:${id}`]?.error?.status === 404) return panel({id: 'gone', source: data[`w:${id}`], gone: {text: `Worker ${id} is not there any more`, href: link('workers'), label: 'All workers'}});
    const part = shown(all.filter((row) => (id ? row.id === id : row.pool.includes(query.pool) && (row.server_id || '').includes(query.server) && (!query.status || row.status === query.status))), COLUMNS, query);
    return list({ctx, id: 'workers', title: id ? 'Worker' : 'All workers', source, fields: FIELDS, hide: id, columns: COLUMNS, more: MORE, part, all: all.length, what: 'Workers', empty: 'No worker is running: each server has one for each of its pools.', detail: (row) => jobs(ctx, row), onopen: ctx.refetch});
  },
};
