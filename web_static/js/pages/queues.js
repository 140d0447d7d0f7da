/* All queues: sizes, rates, and what can be done to them. */

import { queueControls } from '../actions.js';
import { duration, plural, rate, count } from '../format.js';
import { h } from '../dom.js';
import { link, one, text } from '../router.js';
import { caption, listParams, shown, table } from '../table.js';
import { badge, chip, exportMenu, filters, menu, pager, panel } from '../ui.js';

const number = (key, label, at) => ({ key, label, num: true, sort: true, at, cell: (queue) => h('span', { class: queue[key] ? null : 'muted' }, count(queue[key])) });
const perMinute = (key, label) => ({ key, label, num: true, sort: true, at: 'l', cell: (queue) => rate(queue[key]) });

const COLUMNS = [
  { key: 'name', label: 'Queue', sort: true, cell: (queue) => h('a', { href: link('queues', queue.name) }, queue.name) },
  { key: 'state', label: 'State', sort: true, by: (queue) => (queue.paused ? 'paused' : queue.pools.length ? 'active' : 'no pool'), cell: (queue) => h('span.tight', badge(queue.paused ? 'paused' : 'active'), !queue.pools.length && [' ', chip('no pool', null, 'No live worker reads this queue')]) },
  number('ready', 'Ready'), number('processing', 'Processing'), number('scheduled', 'Scheduled', 'm'), number('retry', 'Retry', 'm'),
  number('deferred', 'Deferred', 'l'), number('completed', 'Completed', 'l'),
  { ...number('dead_letter', 'Dead letter'), cell: (queue) => (queue.dead_letter ? h('a.bad', { href: link('queues', queue.name, { status: 'dead_letter' }) }, count(queue.dead_letter)) : h('span.muted', '0')) },
  { key: 'oldest_age_ms', label: 'Oldest', num: true, sort: true, at: 'm', cell: (queue) => duration(queue.oldest_age_ms) },
  perMinute('in_per_min', 'In / min'), perMinute('out_per_min', 'Out / min'), perMinute('failed_per_min', 'Fail / min'),
  { key: 'drain_ms', label: 'Drain', num: true, sort: true, at: 'l', cell: (queue) => duration(queue.drain_ms) },
  number('processed_total', 'Processed', 'l'), number('failed_total', 'Failed', 'l'),
];
const ACTIONS = { key: 'actions', label: 'Actions', hidden: true, text: null, cell: (queue) => menu('⋯', queueControls(queue), { name: `Actions for ${queue.name}` }) };
const STATES = [['', 'All'], ['active', 'Active'], ['paused', 'Paused'], ['nopool', 'No live pool']];

const matches = ({ q, state, pool }) => (queue) => (!q || queue.name.includes(q)) && (!pool || queue.pools.some((id) => id.includes(pool))) &&
  (!state || (state === 'paused' ? queue.paused : state === 'active' ? !queue.paused : !queue.pools.length));

export default {
  params: { ...listParams(COLUMNS.map(({ key }) => key)), q: text(128), state: one('', 'active', 'paused', 'nopool'), pool: text(128) },
  interval: 5000,
  title: () => 'Queues',
  summary: ({ data }) => (data.queues?.data ? `${plural(data.queues.data.length, 'queue')}, ${data.queues.data.filter((queue) => queue.paused).length} paused` : 'Sizes, rates and state of every queue'),
  sources: () => ({ queues: { path: '/queues' } }),
  events: ({ kind }) => kind === 'job' || kind === 'queue',
  view(ctx) {
    const { data, query, admin } = ctx, all = data.queues?.data || [];
    const found = filters([{ name: 'q', label: 'Name' }, { name: 'state', label: 'State', type: 'choice', options: STATES }, { name: 'pool', label: 'Pool' }], query, ctx.set);
    const rows = all.filter(matches(query)), part = shown(rows, COLUMNS, query);
    const columns = admin ? [...COLUMNS, ACTIONS] : COLUMNS;
    return [found.node, panel({ id: 'queue-list', source: data.queues, flush: true,
      empty: 'No queue yet: one appears as soon as a job is enqueued or a worker names it.',
      title: 'All queues', actions: exportMenu('queues', part.rows, COLUMNS),
      body: () => (rows.length ? [table({ ctx, id: 'queues', columns, rows: part.rows, key: 'name', caption: caption('Queues', part) }), pager({ ...part, onset: ctx.set })]
        : found.none(all.length)) })];
  },
};
