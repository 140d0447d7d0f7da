/* One job: where it stands, how it got there, everything that is known of it. */

import {jobControls} from '../actions.js';
import {path} from '../api.js';
import {h} from '../dom.js';
import {bytes, count, duration, plural} from '../format.js';
import {enqueueControl, jobTime} from '../joblist.js';
import {link} from '../router.js';
import {table} from '../table.js';
import {anchor, badge, code, copy, facts, panel, timeCell, word} from '../ui.js';

const TERMINAL = ['completed', 'dead_letter', 'canceled', 'stopped', 'failed'];
const linked = (page, id, text) => id && anchor(page, id, text), jobs = (ids) => ids?.map((id) => [linked('jobs', id), ' ']);
const ms = (n) => n != null && duration(n), at = (s) => s && timeCell(s), kept = (s) => s != null && (s < 0 ? 'for ever' : duration(s * 1000)), yes = (flag) => flag && 'yes';

const step = (name, time, look, more) => h('li', {key: name, class: look ? `st-${look}` : 'ahead'}, h('b', name), time ? [timeCell(time), h('small', timeCell(time, true))] : !more && h('span', 'not yet'), more && h(time ? 'small' : 'span', more));

function timeline(job) {
  const {status} = job;
  return h('ol.timeline', step('Created', job.created_at, 'completed'), job.scheduled_at && step('Scheduled', job.scheduled_at, 'completed'), step('Started', job.started_at, job.started_at && 'processing', job.wait_ms != null && `waited ${duration(job.wait_ms)}`),
    TERMINAL.includes(status) ? step(`Ended: ${word(status)}`, job.completed_at, status, job.execution_duration != null && `ran ${duration(job.execution_duration)}`) : job.due_at ? step('Due', job.due_at, status)
      : status === 'processing' ? step('Running', null, status, `for ${duration(job.elapsed_ms)}`) : step('Ends'));
}

const progress = ({current, total, message}) => h('div.progress', h('progress', {max: total || 1, value: current, 'aria-label': 'Progress'}), h('span', `${count(current)} of ${count(total)}`), h('span.muted', message));

const details = (job) => facts([
  ['Id', h('span', job.id, copy(job.id))], ['Type', job.type], ['Queue', linked('queues', job.queue)], ['Tries', `${job.retry_count} of ${plural(job.max_retry, 'retry', 'retries')} used, ${plural(job.attempt, 'start')}`], ['Waited', ms(job.wait_ms)], ['Ran', ms(job.execution_duration)],
  ['Runs for', ms(job.elapsed_ms)], ['Deadline', at(job.processing_deadline)], ['Last heartbeat', at(job.last_heartbeat)], ['Worker', linked('workers', job.worker_id)], ['Pool', job.pool], ['Server', job.server_id], ['Time-out', kept(job.timeout)],
  ['Retry intervals', job.retry_intervals && `${job.retry_intervals.join(', ')} s`], ['Result kept', kept(job.result_ttl)], ['Failure kept', kept(job.failure_ttl)], ['Expires', at(job.expires_at)], ['Enqueued by', job.enqueued_by], ['Cron entry', linked('scheduler', job.cron_id)],
  ['Cron slot', at(job.cron_slot)], ['At the front', yes(job.enqueue_at_front)], ['Goes on if parents fail', yes(job.allow_failure)], ['Cancel reason', job.cancel_reason], ['Result dropped', job.result_note], ['Payload size', bytes(job.payload_bytes)],
]);

const family = (job) => facts([['Parents', jobs(job.depends_on)], ['Waits for', job.pending_deps?.length > 0 && jobs(job.pending_deps)], [`Children (${count(job.child_count)})`, job.child_count > 0 && jobs(job.children)], ['Graph', linked('dag', job.id, 'Open graph')]]);

const ATTEMPTS = [
  {key: 'attempt', label: 'Attempt'}, {key: 'outcome', label: 'Outcome', cell: ({outcome, counted}) => [badge(outcome === 'recovered' ? 'stale' : outcome, word(outcome)), !counted && ' not counted']}, {key: 'started_at', label: 'Started', at: 'm', time: true},
  {key: 'ended_at', label: 'Ended', time: true}, {key: 'duration_ms', label: 'Duration', num: true, cell: (row) => duration(row.duration_ms)}, {key: 'worker_id', label: 'Worker', at: 'l'}, {key: 'error', label: 'Error'},
];

const text = (title, value, plain) => value !== undefined && panel({id: title.toLowerCase(), title: plain ? `${title} (not JSON)` : title, body: () => code(value, {label: title, plain})});

export default {
  interval: 3000,
  tick: true,
  title: ({id}) => `Job ${id}`,
  crumb: ({id}) => id,
  parent: () => ({href: link('jobs'), label: 'Jobs'}),
  badge: ({data: {job: {data}}}) => data && [badge(data.status), data.stale && badge('stale', 'stale: its worker is gone')],
  summary: ({data: {job: {data}}}) => data && [`${data.type} in ${data.queue}, ${jobTime(data)[0]} `, timeCell(jobTime(data)[1])],
  actions: ({data: {job: {data}}, local}) => data && [jobControls(data, {back: local.back || link('jobs')}), enqueueControl('Enqueue copy', data)],
  // A job that has ended is still looked at now and then: it may be retried elsewhere.
  sources(ctx) {
    const every = TERMINAL.includes(ctx.data.job?.data?.status) ? 30000 : 0;
    return {job: {path: path`/jobs/${ctx.id}`, every}, attempts: {path: path`/jobs/${ctx.id}/attempts`, every}};
  },
  events: (event, {id}) => event.job_id === id,
  view({id, data: {job: source, attempts}, ...ctx}) {
    if (source.error?.status === 404) return panel({id: 'gone', source, gone: {text: `Job ${id} does not exist or has expired`, href: link('jobs'), label: 'All jobs'}});
    const job = source.data;
    if (!job) return panel({id: 'course', source});
    return [panel({id: 'course', source, body: () => [timeline(job), job.progress && progress(job.progress)]}),
      job.error && panel({id: 'error', title: 'Error', body: () => [h('p.bad', job.error), job.traceback && code(job.traceback, {label: 'Traceback', plain: true})]}), panel({id: 'details', title: 'Details', source, body: details}),
      (job.depends_on.length > 0 || job.child_count > 0) && panel({id: 'family', title: 'Parents and children', body: () => family(job)}), h('div.grid-2', text('Payload', job.payload, job.payload_invalid), text('Result', job.result), text('Meta', job.meta)),
      attempts.data?.length > 0 && panel({id: 'attempts', title: 'Attempts without success', source: attempts, flush: true, body: (rows) => table({ctx: {...ctx, query: {}}, id: 'attempt-list', key: 'attempt', columns: ATTEMPTS, rows, caption: 'Newest first, at most 20'})})];
  },
};
