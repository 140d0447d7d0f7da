/* What is going on: sizes now, what needs attention, how it went, and how the machine is. */

import {chart, minuteCharts} from '../chart.js';
import {h} from '../dom.js';
import {bytes, count, day, duration, percent, plural, rate, span} from '../format.js';
import {int, link} from '../router.js';
import {badge, cards, facts, panel} from '../ui.js';

const jobs = (status) => link('jobs', null, {status}), sorted = (sort) => link('queues', null, {sort, order: 'desc'});

const current = (n) => [
  ['Ready', n.ready, jobs('ready'), n.ready && n.oldest_age_ms != null ? `oldest ${span(n.oldest_age_ms / 1000)}` : ''], ['Processing', n.processing, jobs('processing')], ['Scheduled', n.scheduled, jobs('scheduled')],
  ['Retry', n.retry, jobs('retry')], ['Deferred', n.deferred, jobs('deferred')], ['Queues', n.queues, link('queues'), n.paused_queues ? `${n.paused_queues} paused` : 'none paused'],
  ['Workers', n.workers, link('workers'), `${n.busy} / ${n.slots} busy`], ['Servers', n.servers, link('servers'), n.servers ? 'live' : 'none live', n.servers ? '' : 'bad'],
];
const lifetime = (n) => [['Completed kept', n.completed, jobs('completed')], ['Processed total', n.processed_total, sorted('processed_total')], ['Failed total', n.failed_total, sorted('failed_total')], ['Dead letter', n.dead_letter, link('failed'), '', n.dead_letter ? 'bad' : '']];

/** Lines of what somebody should look at: [look, word, text, href]. */
function attention({queues, servers, cron, dead, runtime}) {
  const lines = [];
  for (const {name, paused, ready, pools} of queues.data) {
    if (ready && (paused || !pools.length)) lines.push(paused ? ['paused', 'paused', `${name} is paused with ${plural(ready, 'ready job')}`, link('queues', name)] : ['failed', 'no pool', `${name} has ${plural(ready, 'ready job')} and no live pool`, link('queues', name)]);
  }
  for (const {id, status} of servers.data || []) if (status === 'stale') lines.push(['stale', 'stale', `Server ${id} has stopped answering`, link('servers')]);
  for (const {id, orphaned, last_status: last, last_job: job} of cron.data || []) {
    if (orphaned) lines.push(['orphaned', 'orphaned', `Cron entry ${id} is gone from the configuration`, link('scheduler', id)]);
    else if (last === 'error' || ['dead_letter', 'failed'].includes(job?.status)) lines.push(['failed', 'failing', `Cron entry ${id} failed last time`, link('scheduler', id)]);
  }
  const {used_memory_bytes: used, maxmemory_bytes: most, evicted_keys: evicted} = runtime.data?.redis || {};
  if (dead.meta.total) lines.push(['dead_letter', 'dead letter', `${plural(dead.meta.total, 'job')} gave up in the last 5 minutes`, link('failed')]);
  if (most && used / most > 0.85) lines.push(['failed', 'memory', `Redis uses ${percent(used, most)} % of its memory`]);
  if (evicted) lines.push(['failed', 'evicting', `Redis has evicted ${plural(evicted, 'key')}, so jobs may be lost; maxmemory-policy should be noeviction`]);
  return lines.length ? h('ul.lines', lines.map(([tone, label, text, href]) => h('li', {key: text}, badge(tone, label), h(href ? 'a' : 'span', {href}, text)))) : h('p.muted', 'Nothing needs attention.');
}

const machine = ({redis, ...now}) => facts([['GQM', now.version], ['Python', now.python_version], ['Uptime', duration(now.uptime_ms)], ['Memory', bytes(now.rss_bytes)], ['CPU', `${now.cpu_percent} % of ${plural(now.num_cpu, 'core')}`], ['Threads', count(now.threads)],
  ['Redis', redis.version + (redis.embedded ? ', embedded' : '')], ['Redis memory', bytes(redis.used_memory_bytes) + (redis.maxmemory_bytes ? ` of ${bytes(redis.maxmemory_bytes)}` : '')], ['Redis operations', `${count(redis.ops_per_sec)} per second`], ['Redis latency', duration(redis.latency_ms)]]);

export default {
  params: {range: int(60, 60, 180), days: int(30, 1, 90)},
  title: () => 'Overview',
  summary: ({data: {stats}}) => stats.data && `${rate(stats.data.out_per_min)} jobs per minute done, ${rate(stats.data.failed_per_min)} failed`,
  sources: ({query: {range, days}}) => ({
    stats: {path: '/stats', every: 2000}, queues: {path: '/queues', every: 5000}, servers: {path: '/servers', every: 15000}, cron: {path: '/cron', every: 30000},
    dead: {path: '/jobs', query: {status: 'dead_letter', since: '-5m', limit: 1}, every: 15000}, runtime: {path: '/stats/runtime', every: 10000},
    minutes: {path: '/stats/minutes', query: {sum: true, order: 'asc', minutes: range}, every: 60000}, daily: {path: '/stats/daily', query: {sum: true, order: 'asc', days}, every: 60000},
  }),
  events: ({kind}) => ['job', 'queue', 'server'].includes(kind),
  view(ctx) {
    const {data, query} = ctx;
    return [panel({id: 'now', source: data.stats, bare: true, body: (n) => [h('h2', 'Now'), cards(current(n)), h('h2', 'Lifetime'), cards(lifetime(n))]}),
      panel({id: 'attention', title: 'Needs attention', source: data.queues, body: () => attention(data)}), minuteCharts(ctx, data.minutes),
      chart({ctx, id: 'days', title: 'Days', unit: 'jobs per UTC day', source: data.daily, bars: true, range: query.days, ranges: [[7, '7 days'], [30, '30 days'], [90, '90 days']], onrange: (days) => ctx.set({days}), series: [['Processed', 'completed'], ['Failed', 'failed']],
        points: ([{days}]) => days.map(({date, processed, failed}) => ({label: date, axis: day(date), values: [processed, failed]}))}),
      panel({id: 'runtime', title: 'This server and its Redis', source: data.runtime, body: machine})];
  },
};
