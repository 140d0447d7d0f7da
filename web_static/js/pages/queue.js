/* One queue: its sizes, its course, what is ready, and its jobs by status. */

import {queueControls} from '../actions.js';
import {path} from '../api.js';
import {minuteCharts} from '../chart.js';
import {h} from '../dom.js';
import {count, span} from '../format.js';
import {enqueueControl, jobList, jobParams, jobQuery} from '../joblist.js';
import {int, link, one} from '../router.js';
import {anchor, badge, bar, cards, panel, STATUSES, tabs, word} from '../ui.js';

const SIZES = ['ready', 'processing', 'scheduled', 'retry', 'deferred', 'completed', 'dead_letter', 'canceled'];
const sizes = (queue) => cards(SIZES.map((name) => [word(name), queue[name], link('queues', queue.name, {status: name}), name === 'ready' && queue.oldest_age_ms != null && `oldest ${span(queue.oldest_age_ms / 1000)}`, name === 'dead_letter' && queue[name] ? 'bad' : '']));
const byType = ({by_type: types, ready: all}) => (types.length ? h('ul.lines', types.map(({type, ready}) => h('li', {key: type}, h('span.grow', type), bar(ready, Math.min(1000, all), count(ready))))) : h('p.muted', 'No ready job.'));

export default {
  params: {...jobParams(), status: one('ready', ...STATUSES), range: int(60, 60, 180)},
  title: ({id}) => `Queue ${id}`,
  crumb: ({id}) => id,
  parent: () => ({href: link('queues'), label: 'Queues'}),
  badge: ({data: {queue: {data}}}) => data && badge(data.paused ? 'paused' : 'active'),
  summary: ({data: {queue: {data}}}) => data && (data.pools.length ? ['Read by ', data.pools.map((id) => [anchor('workers', id), ' '])] : 'No live pool reads it'),
  actions: ({data: {queue: {data}}}) => data && [queueControls(data, true), enqueueControl('Enqueue job', {queue: data.name})],
  sources: ({id, query}) => ({queue: {path: path`/queues/${id}`}, jobs: {path: path`/queues/${id}/jobs`, query: {...jobQuery(query), queue: null}}, minutes: {path: '/stats/minutes', query: {queue: id, minutes: query.range, order: 'asc'}, every: 60000}}),
  stream: ({id}) => ({queue: id}),
  events: ({kind, queue}, {id}) => (kind === 'job' || kind === 'queue') && queue === id,
  view(ctx) {
    const {id, data: {queue, jobs, minutes}, query: {status}} = ctx;
    if (queue.error?.status === 404) return panel({id: 'gone', source: queue, gone: {text: `There is no queue ${id}`, href: link('queues'), label: 'All queues'}});
    return [panel({id: 'sizes', source: queue, bare: true, body: sizes}), minuteCharts(ctx, minutes), panel({id: 'types', title: 'Ready jobs by type', source: queue, body: byType}),
      tabs({label: 'Status', chosen: status, onchoose: (name) => ctx.set({status: name, page: 1}), items: STATUSES.map((name) => ({id: name, name: word(name), note: queue.data?.[name]}))}),
      jobList({ctx, source: jobs, title: `Jobs: ${word(status)}`, without: ['status', 'queue'], empty: `No ${word(status)} jobs in this queue.`})];
  },
};
