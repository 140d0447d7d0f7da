/* What is going on: sizes now, what needs attention, how it went, and how the machine is. */

import { chart, minuteCharts } from '../chart.js';
import { h } from '../dom.js';
import { bytes, clock, count, day, duration, percent, plural } from '../format.js';
import { int, link } from '../router.js';
import { badge, facts, panel, stat } from '../ui.js';

const jobs = (status) => link('jobs', null, { status });

const NOW = (n) => [
  ['Ready', n.ready, jobs('ready'), n.oldest_age_ms != null && n.ready ? `oldest ${duration(n.oldest_age_ms)}` : ''], ['Processing', n.processing, jobs('processing')],
  ['Scheduled', n.scheduled, jobs('scheduled')], ['Retry', n.retry, jobs('retry')], ['Deferred', n.deferred, jobs('deferred')],
  ['Queues', n.queues, link('queues'), n.paused_queues ? `${n.paused_queues} paused` : 'none paused'], ['Workers', n.workers, link('workers'), `${n.busy} of ${n.slots} slots busy`],
  ['Servers', n.servers, link('servers'), n.servers ? 'live' : 'none live', n.servers ? null : 'bad'],
];
const LIFETIME = (n) => [
  ['Completed kept', n.completed, jobs('completed')], ['Processed total', n.processed_total, link('queues', null, { sort: 'processed_total', order: 'desc' })],
  ['Failed total', n.failed_total, link('queues', null, { sort: 'failed_total', order: 'desc' })], ['Dead letter', n.dead_letter, link('failed'), '', n.dead_letter ? 'bad' : null],
];
const cards = (rows) => h(rows.length > 4 ? 'div.stats.many' : 'div.stats', rows.map(([label, value, href, note, tone]) => stat({ label, value: count(value), href, note, tone })));

/** Lines of what somebody should look at: [look, word, text, href]. */
function attention({ queues, servers, cron, dead, runtime }) {
  const lines = [];
  for (const queue of queues?.data || []) {
    const href = link('queues', queue.name);
    if (queue.paused && queue.ready) lines.push(['paused', 'paused', `${queue.name} is paused with ${plural(queue.ready, 'ready job')}`, href]);
    else if (queue.ready && !queue.pools.length) lines.push(['failed', 'no pool', `${queue.name} has ${plural(queue.ready, 'ready job')} and no live pool`, href]);
  }
  for (const server of servers?.data || []) if (server.status === 'stale') lines.push(['stale', 'stale', `Server ${server.id} has stopped answering`, link('servers')]);
  for (const entry of cron?.data || []) {
    const href = link('scheduler', entry.id);
    if (entry.orphaned) lines.push(['orphaned', 'orphaned', `Cron entry ${entry.id} is gone from the configuration`, href]);
    else if (entry.last_status === 'error' || ['dead_letter', 'failed'].includes(entry.last_job?.status)) lines.push(['failed', 'failing', `Cron entry ${entry.id} failed last time`, href]);
  }
  const died = dead?.meta?.total, { used_memory_bytes: used, maxmemory_bytes: most, evicted_keys: evicted } = runtime?.data?.redis || {};
  if (died) lines.push(['dead_letter', 'dead letter', `${plural(died, 'job')} gave up in the last 5 minutes`, link('failed')]);
  if (most && used / most > 0.85) lines.push(['failed', 'memory', `Redis uses ${percent(used, most)} % of its memory`, null]);
  if (evicted) lines.push(['failed', 'evicting', `Redis has evicted ${plural(evicted, 'key')}: jobs may be lost; set maxmemory-policy noeviction`, null]);
  return lines;
}

const attentionList = (lines) => (lines.length ? h('ul.lines', lines.slice(0, 12).map(([status, label, text, href]) => h('li', { key: text }, badge(status, label), href ? h('a', { href }, text) : h('span', text))))
  : h('p.muted', 'Nothing needs attention.'));

function machine(now) {
  const { redis } = now;
  return facts([['GQM', now.version], ['Python', now.python_version], ['Uptime', duration(now.uptime_ms)], ['Memory', bytes(now.rss_bytes)], ['CPU', `${now.cpu_percent} % of ${plural(now.num_cpu, 'core')}`],
    ['Threads', count(now.threads)], ['Redis', `${redis.version}${redis.embedded ? ', embedded' : ''}`],
    ['Redis memory', redis.maxmemory_bytes ? `${bytes(redis.used_memory_bytes)} of ${bytes(redis.maxmemory_bytes)}` : bytes(redis.used_memory_bytes)],
    ['Redis operations', `${count(redis.ops_per_sec)} per second`], ['Redis latency', duration(redis.latency_ms)]]);
}

const days = (data) => (data[0]?.days || []).map(({ date, processed, failed }) => ({ label: date, axis: day(date), values: [processed, failed] }));

export default {
  params: { range: int(60, 60, 180), days: int(30, 1, 90) },
  interval: 5000,
  title: () => 'Overview',
  summary: ({ data }) => (data.stats?.data ? `${count(data.stats.data.out_per_min)} jobs per minute done, ${count(data.stats.data.failed_per_min)} failed` : 'Everything at a glance'),
  sources: ({ query }) => ({
    stats: { path: '/stats', every: 2000 }, queues: { path: '/queues', every: 5000 }, servers: { path: '/servers', every: 15000 }, cron: { path: '/cron', every: 30000 },
    dead: { path: '/jobs', query: { status: 'dead_letter', since: '-5m', limit: 1 }, every: 15000 }, runtime: { path: '/stats/runtime', every: 10000 },
    minutes: { path: '/stats/minutes', query: { sum: true, order: 'asc', minutes: query.range }, every: 60000 },
    daily: { path: '/stats/daily', query: { sum: true, order: 'asc', days: query.days }, every: 60000 },
  }),
  events: ({ kind }) => kind === 'job' || kind === 'queue' || kind === 'server',
  view(ctx) {
    const { data } = ctx;
    return [
      panel({ id: 'now', source: data.stats, body: (n) => [h('h2', 'Now'), cards(NOW(n)), h('h2', 'Lifetime'), cards(LIFETIME(n))], bare: true }),
      panel({ id: 'attention', title: 'Needs attention', source: data.queues, body: () => attentionList(attention(data)) }),
      h('div.grid-2', minuteCharts({ ctx, source: data.minutes, clock, duration, count })),
      chart({ ctx, id: 'days', title: 'Days', unit: 'jobs per UTC day', source: data.daily, points: days, bars: true, integer: true, range: ctx.query.days,
        ranges: [[7, '7 days'], [30, '30 days'], [90, '90 days']], onrange: (value) => ctx.set({ days: value }), series: [{ name: 'Processed', look: 'completed' }, { name: 'Failed', look: 'failed' }] }),
      panel({ id: 'runtime', title: 'This server and its Redis', source: data.runtime, body: machine }),
    ];
  },
};
