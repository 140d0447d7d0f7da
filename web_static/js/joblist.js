/* Lists of jobs, alike on every page: filters, table, selection that outlives paging, bulk actions. */

import {isAdmin, post} from './api.js';
import {ask, work} from './dialog.js';
import {h, update} from './dom.js';
import {count, duration, plural} from './format.js';
import {feed} from './live.js';
import {many, text, time} from './router.js';
import {list, listParams, paged} from './table.js';
import {anchor, badge, control, copy, jobLink, queueLink, STATUSES, timeCell, toast, word} from './ui.js';

const NAMES = ['status', 'queue', 'type', 'q', 'error', 'worker', 'since', 'until', 'fingerprint'];

export const jobParams = (statuses = STATUSES) => ({
  ...listParams(['time', 'id', 'type', 'created_at', 'retry_count', 'execution_duration'], 'desc'), status: many(...statuses), queue: many(), type: many(),
  q: text(), error: text(200), worker: text(), since: time, until: time, fingerprint: text(16, /^[0-9a-f]{16}$/),
});

const jobFilter = (query) => Object.fromEntries(NAMES.filter((name) => query[name]?.length).map((name) => [name, query[name]]));
export const jobQuery = (query) => ({...jobFilter(query), sort: query.sort, order: query.order, page: query.page, limit: query.size});

export function jobTime({status, due_at: due, started_at: started, completed_at: ended, created_at: created}) {
  if (due && (status === 'scheduled' || status === 'retry')) return ['due', due];
  return status === 'processing' && started ? ['started', started] : ended ? ['ended', ended] : ['created', created];
}

const COLUMNS = [
  {key: 'id', label: 'Job', sort: true, cell: ({id}) => h('span.tight', jobLink(id), copy(id))},
  {key: 'type', label: 'Type', sort: true}, {key: 'queue', label: 'Queue', at: 'm', cell: queueLink},
  {key: 'status', label: 'Status', cell: ({status, stale}) => h('span.tight', badge(status), stale && badge('stale'))}, {key: 'retry_count', label: 'Tries', num: true, sort: true, at: 'l', cell: (job) => `${job.retry_count} / ${job.max_retry}`},
  {key: 'time', label: 'Time', sort: true, text: (job) => jobTime(job)[1], cell: (job) => { const [name, at] = jobTime(job); return h('span.tight', h('span.muted', `${name} `), timeCell(at)); }},
  {key: 'execution_duration', label: 'Duration', num: true, sort: true, at: 'l', cell: (job) => duration(job.execution_duration ?? job.elapsed_ms)},
  {key: 'worker_id', label: 'Worker', at: 'l', text: (job) => job.worker_id || job.pool, cell: ({worker_id: id, pool}) => (id || pool ? anchor('workers', id || pool, pool || id) : '–')},
  {key: 'error', label: 'Error', at: 'l', cell: ({error}) => (error ? h('span.clip', {title: error}, error) : '–')},
];

const fieldsOf = (statuses) => [
  {name: 'status', label: 'Status', type: 'choices', options: statuses.map((status) => [status, word(status)])}, {name: 'queue', label: 'Queue', list: true}, {name: 'type', label: 'Type', list: true, placeholder: 'mail.*'},
  {name: 'q', label: 'Id contains'}, {name: 'error', label: 'Error contains'}, {name: 'worker', label: 'Worker'}, {name: 'since', label: 'Since', placeholder: '-15m'}, {name: 'until', label: 'Until', placeholder: '-1h'}, {name: 'fingerprint', label: 'Group'},
];

export function jobList({ctx, source, title, statuses = STATUSES, empty, without = []}) {
  const {query, local, id} = ctx, kept = ({key, name}) => !without.includes(key || name) && (name !== 'fingerprint' || query.fingerprint);
  const part = paged(ctx, source), picked = ctx.admin ? (local.selection ??= new Selection()) : null;
  // A page that has vanished, for its jobs are gone, gives way to the last one.
  if (!part.rows.length && part.total && !source.busy && query.page > 1) setTimeout(() => ctx.set({page: Math.ceil(part.total / query.size)}, true));
  picked?.look({...jobFilter(query), ...(id && {queue: [id]})}, {...part, ...part.loaded}, part.rows);
  return [list({ctx, id: 'jobs', source, title, fields: fieldsOf(statuses).filter(kept), columns: COLUMNS.filter(kept), what: 'Jobs', empty, select: picked}), picked?.bar()];
}

// ------------------------------------------------------------------ selection and bulk actions

class Selection {
  #pages = new Map();
  #all = false;
  #filter = {};

  /** Tells what is shown now; another filter ends the selection of all that match the last one. */
  look(filter, part, rows) {
    if (this.#all && JSON.stringify(filter) !== JSON.stringify(this.#filter)) this.#all = false;
    this.#filter = filter;
    Object.assign(this, {part, rows});
  }

  has(id) { return this.#all || this.#pages.has(id); }
  clear() { this.#pages.clear(); this.#all = false; update(); }
  flip({id}) { this.#all = false; if (!this.#pages.delete(id)) this.#pages.set(id, this.part.page); }

  all(rows) {
    const every = rows.every(({id}) => this.has(id));
    this.#all = false;
    for (const {id} of rows) if (every) this.#pages.delete(id); else this.#pages.set(id, this.part.page);
  }

  bar() {
    const n = this.#pages.size, {total} = this.part;
    if (!n && !this.#all) return null;
    const act = (name, label, danger) => control(label, () => this.#act(name, label), {danger, key: 'bulk'});
    return h('div.selection', {role: 'region', 'aria-label': 'Selection'}, h('span', this.#all ? `All ${count(total)} matching` : `${count(n)} selected on ${plural(new Set(this.#pages.values()).size, 'page')}`),
      h('button.quiet', {onclick: () => this.clear()}, 'Clear'),
      !this.#all && total > n && this.rows.every(({id}) => this.#pages.has(id)) && h('button.quiet', {onclick: () => { this.#all = true; update(); }}, `Select all ${count(total)} matching`),
      h('div.actions', act('retry', 'Retry'), act('cancel', 'Cancel jobs', true), act('delete', 'Delete', true)));
  }

  #act(action, label) {
    const filter = this.#all && {status: STATUSES, ...this.#filter}, ids = [...this.#pages.keys()];
    return bulk({action, label, filter, ids, title: `${label}: ${filter ? 'all that match' : plural(ids.length, 'selected job')}`, onend: () => this.clear()});
  }
}

/** Does something to all jobs of a list of ids or of a filter: after a dry run, to the end, telling what was refused. */
export async function bulk({action, label, title, filter, ids, onend}) {
  const check = async () => {
    const {matched, eligible, skipped, truncated, as_of: asOf} = await dryRun(action, filter, ids);
    if (filter) filter.until ||= asOf;
    return {none: !eligible, typed: eligible > 100 ? eligible : null, text: [h('p', `${count(eligible)} of ${truncated ? 'at least ' : ''}${plural(matched, 'job')} can be changed.`),
      Object.entries(skipped).map(([code, n]) => h('p.muted', `${plural(n, 'job')} would be skipped: ${code}`))]};
  };
  if (!await ask({title, label, danger: action !== 'retry', check})) return;
  await work({title: label, run: async (say, stopped) => {
    const refused = {};
    let done = 0, failed = 0;
    for await (const [answer, share] of calls(action, filter, ids)) {
      done += answer.succeeded; failed += answer.failed;
      for (const {ok, code, job_id: id} of answer.results) if (!ok) (refused[code] ??= []).push(id);
      say(`${count(done)} done, ${count(failed)} refused`, share);
      if (stopped()) break;
    }
    onend?.();
    const said = `${label}: ${count(done)} done, ${count(failed)} refused${stopped() ? ', stopped' : ''}`;
    if (!failed) { toast(said); return null; }
    return [h('p', said), Object.entries(refused).map(([code, list]) => h('div', h('h3', `${code}: ${plural(list.length, 'job')}`), h('p', list.slice(0, 50).map((id) => [anchor('jobs', id), ' ']))))];
  }});
  feed.refresh();
}

const batch = async (action, body) => (await post(`/jobs/batch/${action}`, body)).data;

async function dryRun(action, filter, ids) {
  if (filter) return batch(action, {filter, dry_run: true});
  const sum = {matched: 0, eligible: 0, skipped: {}};
  for (let at = 0; at < ids.length; at += 1000) {
    const part = await batch(action, {job_ids: ids.slice(at, at + 1000), dry_run: true});
    sum.matched += part.matched; sum.eligible += part.eligible;
    for (const code in part.skipped) sum.skipped[code] = (sum.skipped[code] || 0) + part.skipped[code];
  }
  return sum;
}

/** One call after the other to the end, each with the share that is done (unknown for a filter). */
async function* calls(action, filter, ids) {
  for (let at = 0; !filter && at < ids.length; at += 100) yield [await batch(action, {job_ids: ids.slice(at, at + 100)}), Math.min(1, (at + 100) / ids.length)];
  for (let cursor = filter && {}; cursor;) {
    const answer = await batch(action, {filter, limit: 200, ...cursor});
    yield [answer];
    cursor = answer.next && {cursor: answer.next};
  }
}

export const enqueueControl = (label = 'Enqueue job', job = null) => isAdmin() && control(label, async () => (await import('./enqueue.js')).enqueue(job, label), {primary: !job?.id});
