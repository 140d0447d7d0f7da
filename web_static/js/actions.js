/* What an admin can do to queues and jobs, with its confirmation; every control here is for admins only.

   queueControls(queue)            controls of a queue object, as nodes
   jobControls(job, {gone})        the controls that the job's status allows
   jobsSay(n)                      '14 jobs'
   Each reports what the answer says, never what was expected. */

import { del, get, isAdmin, path, post } from './api.js';
import { ask } from './dialog.js';
import { h } from './dom.js';
import { count, plural } from './format.js';
import { go, link } from './router.js';
import { control, word } from './ui.js';

export const jobsSay = (n) => plural(n, 'job');

const dry = async (method, route, what, typed) => {
  const { data } = await method(route, { query: { dry_run: true } });
  return { none: !data.matched, typed: typed && data.matched ? typed : null, text: h('p', data.matched ? `${jobsSay(data.matched)} ${what}` : 'There is none left.') };
};
const dryPost = (route, options) => post(route, undefined, options);
const rest = (n) => (n ? `, ${count(n)} remaining: do it again to go on` : ', 0 remaining');

async function pause(name) {
  if (!await ask({ title: `Pause ${name}?`, text: 'Running jobs go on; no job is started until the queue is resumed.', label: 'Pause' })) return null;
  const { data } = await post(path`/queues/${name}/pause`);
  return { text: data.changed ? `${data.queue} is ${data.status}` : `${data.queue} was paused already`, undo: data.changed && (() => resume(name, false)) };
}

async function resume(name, undo = true) {
  const { data } = await post(path`/queues/${name}/resume`);
  return { text: data.changed ? `${data.queue} is ${data.status}` : `${data.queue} was not paused`,
    undo: undo && data.changed && (async () => { const back = await post(path`/queues/${name}/pause`); return `${back.data.queue} is ${back.data.status}`; }) };
}

async function empty(name) {
  const route = path`/queues/${name}/empty`;
  const sure = await ask({ title: `Empty ${name}?`, label: 'Empty queue', danger: true, text: 'Ready jobs are canceled, and with them the jobs that depend on them. This cannot be undone.',
    check: () => dry(del, route, 'would be canceled.', name) });
  if (!sure) return null;
  const { data } = await del(route);
  return `${data.queue}: ${count(data.removed)} removed${rest(data.remaining)}`;
}

async function retryDead(name) {
  const route = path`/queues/${name}/dead-letter/retry-all`;
  if (!await ask({ title: `Retry the dead letters of ${name}?`, label: 'Retry all', check: () => dry(dryPost, route, 'would become ready again, with all their tries.') })) return null;
  const { data } = await post(route);
  return `${data.queue}: ${count(data.retried)} retried${rest(data.remaining)}`;
}

async function clearDead(name) {
  const route = path`/queues/${name}/dead-letter/clear`;
  const sure = await ask({ title: `Clear the dead letters of ${name}?`, label: 'Clear dead letter', danger: true, text: 'They are deleted. This cannot be undone.',
    check: () => dry(del, route, 'would be deleted.', name) });
  if (!sure) return null;
  const { data } = await del(route);
  return `${data.queue}: ${count(data.cleared)} cleared${rest(data.remaining)}`;
}

export function queueControls(queue, { small = false, all = false } = {}) {
  if (!isAdmin()) return null;
  const { name } = queue, made = (label, work, danger) => control(label, () => work(name), { key: name, small, danger, name: `${label} ${name}` });
  return [queue.paused ? made('Resume', resume) : made('Pause', pause),
    queue.dead_letter > 0 && made(all ? 'Retry all dead letter' : 'Retry dead letter', retryDead),
    all && queue.dead_letter > 0 && made('Clear dead letter', clearDead, true),
    queue.ready > 0 && made(all ? 'Empty queue' : 'Empty', empty, true)];
}

// ------------------------------------------------------------------ jobs

export const ALLOWS = {
  retry: ['dead_letter', 'failed', 'canceled', 'stopped'], now: ['scheduled', 'retry'], cancel: ['ready', 'scheduled', 'retry', 'deferred', 'processing'],
};

export async function retryJob(id) {
  const { data } = await post(path`/jobs/${id}/retry`);
  return `${data.job_id} is ${word(data.status)}`;
}

export async function cancelJob(id) {
  const text = 'Jobs that depend on it are canceled too, unless they allow a failure. A running handler is told to stop.';
  if (!await ask({ title: `Cancel ${id}?`, text, label: 'Cancel job', danger: true })) return null;
  const { data } = await post(path`/jobs/${id}/cancel`);
  const more = [data.signalled && 'its handler was told to stop', data.cascaded && `${plural(data.cascaded, 'dependant')} canceled`, data.released && `${plural(data.released, 'dependant')} released`];
  return [`${data.job_id} is ${word(data.status)}`, ...more].filter(Boolean).join(', ');
}

async function deleteJob(id, back) {
  if (!await ask({ title: `Delete ${id}?`, text: 'The job and all that is known of it are gone. Jobs that wait for it are settled as if it had been canceled.', label: 'Delete', danger: true })) return null;
  const { data } = await del(path`/jobs/${id}`);
  if (back) history.length > 1 && back !== link('jobs') ? go(back) : go(link('jobs'));
  return `${data.job_id} is deleted`;
}

export function jobControls(job, { small = false, back = null } = {}) {
  if (!isAdmin()) return null;
  const { id, status } = job, made = (label, work, options) => control(label, () => work(id, back), { key: id, small, ...options });
  return [ALLOWS.retry.includes(status) && made('Retry', retryJob, { primary: !small }), ALLOWS.now.includes(status) && made('Run now', retryJob, { primary: !small }),
    ALLOWS.cancel.includes(status) && made('Cancel', cancelJob, { danger: true }), status !== 'processing' && made('Delete', deleteJob, { danger: true })];
}

/** Reads the list that a queue or pool is chosen from. */
export const names = async (route) => (await get(route)).data.map(({ name }) => name);
