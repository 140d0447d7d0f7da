/* What an admin can do to queues and jobs, with its confirmation; viewers get no control. */

import {del, isAdmin, path, post} from './api.js';
import {ask} from './dialog.js';
import {h} from './dom.js';
import {count, plural} from './format.js';
import {go} from './router.js';
import {control, word} from './ui.js';

const call = (method, route, query) => (method === 'POST' ? post(route, undefined, {query}) : del(route, {query}));
const rest = (n) => `, ${count(n)} remaining${n ? ': do it again to go on' : ''}`;

/** A call on a whole queue, after a dry run that says how many jobs it would change. */
const sweep = (method, tail, {title, label, text, would, typed, field}) => async (name) => {
  const route = path`/queues/${name}/` + tail;
  const check = async () => {
    const {matched} = (await call(method, route, {dry_run: true})).data;
    return {none: !matched, typed: typed && matched ? name : null, text: h('p', matched ? `${plural(matched, 'job')} would be ${would}.` : 'There is none left.')};
  };
  if (!await ask({title: `${title} ${name}?`, label, text, danger: typed, check})) return null;
  const {data} = await call(method, route);
  return `${data.queue}: ${count(data[field])} ${field}${rest(data.remaining)}`;
};

const empty = sweep('DELETE', 'empty', {title: 'Empty', label: 'Empty queue', text: 'Ready jobs are canceled, and with them the jobs that depend on them. This cannot be undone.', would: 'canceled', typed: true, field: 'removed'});
const retryDead = sweep('POST', 'dead-letter/retry-all', {title: 'Retry the dead letters of', label: 'Retry all', would: 'made ready again, with all their tries', field: 'retried'});
const clearDead = sweep('DELETE', 'dead-letter/clear', {title: 'Clear the dead letters of', label: 'Clear dead letter', text: 'This cannot be undone.', would: 'deleted', typed: true, field: 'cleared'});

const flip = (verb, back) => async (name) => {
  const {data} = await post(path`/queues/${name}/` + verb);
  return {text: `${data.queue} ${data.changed ? 'is' : 'was already'} ${data.status}`, undo: data.changed && back && (() => flip(back)(name))};
};
const pause = async (name) => (await ask({title: `Pause ${name}?`, text: 'Running jobs go on; no job is started until the queue is resumed.', label: 'Pause'}) ? flip('pause', 'resume')(name) : null);

const made = ({name}, label, work, danger) => control(label, () => work(name), {key: name, danger, name: `${label} ${name}`});
export const deadControls = (queue, all) => isAdmin() && queue.dead_letter > 0 && [made(queue, all ? 'Retry all dead letter' : 'Retry dead letter', retryDead), all && made(queue, 'Clear dead letter', clearDead, true)];

export function queueControls(queue, all) {
  return isAdmin() && [queue.paused ? made(queue, 'Resume', flip('resume', 'pause')) : made(queue, 'Pause', pause), deadControls(queue, all), queue.ready > 0 && made(queue, 'Empty', empty, true)];
}

// ------------------------------------------------------------------ jobs

async function retryJob(id) {
  const {data} = await post(path`/jobs/${id}/retry`);
  return `${data.job_id} is ${word(data.status)}`;
}

export async function cancelJob(id) {
  if (!await ask({title: `Cancel ${id}?`, text: 'Jobs that depend on it are canceled too, unless they allow a failure. A running handler is told to stop.', label: 'Cancel job', danger: true})) return null;
  const {data} = await post(path`/jobs/${id}/cancel`);
  return [`${data.job_id} is ${word(data.status)}`, data.signalled && 'its handler was told to stop', data.cascaded && `${plural(data.cascaded, 'dependant')} canceled`, data.released && `${plural(data.released, 'dependant')} released`].filter(Boolean).join(', ');
}

async function deleteJob(id, back) {
  if (!await ask({title: `Delete ${id}?`, text: 'All that is known of the job is gone. Jobs that wait for it are settled as if it had been canceled.', label: 'Delete', danger: true})) return null;
  const {data} = await del(path`/jobs/${id}`);
  if (back) go(back);
  return `${data.job_id} is deleted`;
}

export function jobControls(job, {small, back} = {}) {
  const {id, status} = job, made = (label, work, look) => control(label, () => work(id, back), {key: id, small, [look]: !small || look === 'danger'}), is = (...all) => all.includes(status);
  return isAdmin() && [is('dead_letter', 'failed', 'canceled', 'stopped') && made('Retry', retryJob, 'primary'), is('scheduled', 'retry') && made('Run now', retryJob, 'primary'),
    is('ready', 'scheduled', 'retry', 'deferred', 'processing') && made('Cancel', cancelJob, 'danger'), !is('processing') && made('Delete', deleteJob, 'danger')];
}

