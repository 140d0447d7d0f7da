/* All queues: sizes, rates, and what can be done to them. */

import {queueControls} from '../actions.js';
import {h} from '../dom.js';
import {count, duration, plural, rate} from '../format.js';
import {link, one, text} from '../router.js';
import {list, listParams, shown} from '../table.js';
import {anchor, badge, chip} from '../ui.js';

const number = (key, label, at, cell = (queue) => h('span', {class: queue[key] ? '' : 'muted'}, count(queue[key]))) => ({key, label, num: true, sort: true, at, cell});
const state = ({paused, pools}) => (paused ? 'paused' : pools.length ? 'active' : 'no pool');

const COLUMNS = [
  {key: 'name', label: 'Queue', sort: true, cell: ({name}) => anchor('queues', name)},
  {key: 'state', label: 'State', sort: true, by: state, text: state, cell: ({paused, pools}) => h('span.tight', badge(paused ? 'paused' : 'active'), ' ', !pools.length && chip('no pool'))},
  number('ready', 'Ready'), number('processing', 'Processing'), number('scheduled', 'Scheduled', 'm'), number('retry', 'Retry', 'm'), number('deferred', 'Deferred', 'l'), number('completed', 'Completed', 'l'),
  number('dead_letter', 'Dead letter', null, ({name, dead_letter: n}) => (n ? h('a.bad', {href: link('queues', name, {status: 'dead_letter'})}, count(n)) : h('span.muted', '0'))),
  number('oldest_age_ms', 'Oldest', 'm', (queue) => duration(queue.oldest_age_ms)), number('in_per_min', 'In / min', 'l', (queue) => rate(queue.in_per_min)), number('out_per_min', 'Out / min', 'l', (queue) => rate(queue.out_per_min)),
  number('failed_per_min', 'Fail / min', 'l', (queue) => rate(queue.failed_per_min)), number('drain_ms', 'Drain', 'l', (queue) => duration(queue.drain_ms)), number('processed_total', 'Processed', 'l'), number('failed_total', 'Failed', 'l'),
];
const FIELDS = [{name: 'q', label: 'Name'}, {name: 'state', label: 'State', type: 'choice', options: [['', 'All'], ['active', 'Active'], ['paused', 'Paused'], ['no pool', 'No live pool']]}, {name: 'pool', label: 'Pool'}];

export default {
  params: {...listParams(COLUMNS.map(({key}) => key)), q: text(128), state: one('', 'active', 'paused', 'no pool'), pool: text(128)},
  title: () => 'Queues',
  summary: ({data: {queues}}) => queues.data && `${plural(queues.data.length, 'queue')}, ${queues.data.filter(({paused}) => paused).length} paused`,
  sources: () => ({queues: {path: '/queues'}}),
  events: ({kind}) => kind === 'job' || kind === 'queue',
  view(ctx) {
    const {data: {queues}, query, admin} = ctx, all = queues.data || [];
    const rows = all.filter((queue) => queue.name.includes(query.q) && (!query.state || (query.state === 'no pool' ? !queue.pools.length : queue.paused === (query.state === 'paused'))) && (!query.pool || queue.pools.some((id) => id.includes(query.pool))));
    return list({ctx, id: 'queues', key: 'name', title: 'All queues', source: queues, fields: FIELDS, columns: COLUMNS, part: shown(rows, COLUMNS, query), all: all.length, what: 'Queues', detail: admin && ((queue) => h('div.actions', queueControls(queue))),
      empty: 'No queue yet: one appears as soon as a job is enqueued or a worker names it.'});
  },
};
