/* The cron entries, or one: when they run, how it went, and what can be done to them. */

import {del, path, post} from '../api.js';
import {outcomes} from '../chart.js';
import {ask} from '../dialog.js';
import {h} from '../dom.js';
import {ago, duration, moment, plural, zone} from '../format.js';
import {go, link, one, text} from '../router.js';
import {caption, list, listParams, shown, table} from '../table.js';
import {anchor, badge, code, control, facts, jobLink, pager, panel, queueLink, timeCell, word} from '../ui.js';

const state = ({orphaned, enabled}) => (orphaned ? 'orphaned' : enabled ? 'active' : 'paused');

/** A moment in a zone that the browser may not know. */
function inZone(at, name) {
  try { return moment(at, name); } catch { return moment(at, 'UTC'); }
}

function next({next_run: at, timezone}, now) {
  if (at == null) return '–';
  const there = inZone(at, timezone), here = moment(at, zone());
  return h('span.run', h('b', ago(at, now)), h('small', there), there !== here && h('small', `here ${here}`));
}

const last = ({last_run: at, last_status: status, last_job: run, outcomes: all}) => (at == null && !status ? (all?.length ? 'by hand only' : 'never') : h('span.run', run ? [h('span', badge(run.status)), h('span.tight', jobLink(run.job_id))] : badge(status === 'error' ? 'failed' : status, word(status)), at != null && h('small', timeCell(at), status && status !== 'triggered' && run && `, ${word(status)} since`)));

const columns = (now) => [
  {key: 'id', label: 'Entry', sort: true, cell: ({id, name}) => h('span.run', anchor('scheduler', id), name !== id && h('small', name))},
  {key: 'cron_expr', label: 'Schedule', cell: ({cron_expr: expr, description, timezone}) => h('span.run', h('code.tight', expr), h('small', description), h('small', timezone))},
  {key: 'job_type', label: 'Job type, queue', sort: true, at: 'm', text: (entry) => entry.job_type, cell: (entry) => h('span.run', entry.job_type, h('span', 'in ', queueLink(entry)))},
  {key: 'state', label: 'State, overlap', sort: true, by: state, text: state, cell: (entry) => h('span.run', h('span', badge(state(entry))), h('small', `overlap: ${entry.overlap_policy}`))},
  {key: 'next_run', label: 'Next', sort: true, cell: (entry) => next(entry, now)},
  {key: 'last_run', label: 'Last', sort: true, cell: last},
  {key: 'outcomes', label: 'Last 20', at: 'l', text: ({outcomes: all}) => all?.join(' '), cell: ({outcomes: all}) => (all?.length ? outcomes(all) : '–')},
];
const MORE = [{key: 'name', label: 'Name'}, {key: 'timezone', label: 'Time zone'}, {key: 'queue', label: 'Queue'}, {key: 'overlap_policy', label: 'Overlap'}];
const RUNS = [
  {key: 'job_id', label: 'Job', cell: (run) => jobLink(run.job_id)}, {key: 'triggered_at', label: 'Time', time: true}, {key: 'slot', label: 'Slot', cell: ({slot}) => (slot == null ? 'manual' : timeCell(slot, true))},
  {key: 'outcome', label: 'Outcome', cell: ({outcome}) => badge(outcome)}, {key: 'duration_ms', label: 'Duration', num: true, cell: (run) => duration(run.duration_ms)},
];
const FIELDS = [{name: 'q', label: 'Entry or job type'}, {name: 'state', label: 'State', type: 'choice', options: [['', 'All'], ['active', 'Active'], ['paused', 'Paused'], ['orphaned', 'Orphaned']]}];

// ------------------------------------------------------------------ controls

async function trigger(id) {
  if (!await ask({title: `Trigger ${id}?`, text: 'A job is enqueued now, even if the entry is paused or its last job still runs.', label: 'Trigger'})) return null;
  const {data} = await post(path`/cron/${id}/trigger`);
  return `${data.cron_id} was triggered: job ${data.job_id}`;
}

async function flip(id, verb, back) {
  const {data} = await post(path`/cron/${id}/` + verb);
  return {text: `${data.cron_id} ${data.changed ? 'is' : 'was already'} ${data.enabled ? 'enabled' : 'disabled'}${data.next_run ? `, next run ${moment(data.next_run)}` : ''}`, undo: data.changed && back && (() => flip(id, back))};
}

const disable = async (id) => (await ask({title: `Disable ${id}?`, text: 'No job is enqueued by it until it is enabled again.', label: 'Disable'}) ? flip(id, 'disable', 'enable') : null);

async function forget(id, alone) {
  if (!await ask({title: `Forget ${id}?`, text: 'The entry is gone from the configuration; what is known of its runs is deleted. Its jobs stay.', label: 'Forget', danger: true})) return null;
  const {data} = await del(path`/cron/${id}`);
  if (alone) go(link('scheduler'));
  return `${data.cron_id} is forgotten`;
}

function controls({id: alone}, {id, orphaned, enabled}) {
  const made = (label, work, look) => control(label, () => work(id, alone), {...look, key: id, name: `${label} ${id}`});
  return h('div.actions', orphaned ? made('Forget', forget, {danger: true}) : [made('Trigger', trigger, {primary: true}), enabled ? made('Disable', disable) : made('Enable', () => flip(id, 'enable', 'disable'))]);
}

// ------------------------------------------------------------------ opened entries

/** The rows that are open; on the page of one entry that one, from the start. */
const open = ({id, local}) => (local['open-cron'] ??= new Set(id ? [id] : []));
/** Where the history is turned to: in the address for the one entry of a page, else with the row. */
const turned = ({id, query, local}, name) => (id ? query : ((local.runs ??= {})[name] ??= {page: 1, size: 20}));

function opened(ctx, {id, timezone}) {
  const entry = ctx.data[`e:${id}`], runs = ctx.data[`h:${id}`], place = turned(ctx, id), turn = ctx.id ? ctx.set : (to) => { Object.assign(place, to); ctx.refetch(); };
  if (!entry) return null;
  const part = {page: place.page, size: place.size, total: runs.meta.total || 0};
  return h('div.entry', ctx.admin && entry.data && controls(ctx, entry.data),
    panel({id: `entry-${id}`, source: entry, bare: true, body: (data) => [facts([['Time-out', data.timeout != null && duration(data.timeout * 1000)], ['Most retries', data.max_retry], ['Changed', timeCell(data.updated_at)]]),
      data.next_runs.length > 0 && [h('h3', 'Next runs'), h('ol.next', data.next_runs.map((at) => h('li', {key: at}, inZone(at, timezone), h('span.muted', ` ${ago(at, ctx.now)}`))))], data.payload && [h('h3', 'Payload'), code(data.payload, {label: `Payload of ${id}`})]]}),
    panel({id: `history-${id}`, title: 'History', source: runs, flush: true, empty: place.page === 1 ? 'It has not run yet.' : null, body: (rows) => [table({ctx: {local: {}, query: {}}, id: `runs-${id}`, key: 'job_id', columns: RUNS, rows, caption: caption('Runs', part)}), pager({...part, onset: turn, name: `${id}-`})]}));
}

export default {
  interval: 10000,
  params: {...listParams(columns(0).filter(({sort}) => sort).map(({key}) => key)), q: text(), state: one('', 'active', 'paused', 'orphaned')},
  title: ({id}) => (id ? `Schedule ${id}` : 'Scheduler'),
  crumb: ({id}) => id || 'Scheduler',
  parent: ({id}) => id && {href: link('scheduler'), label: 'Scheduler'},
  summary: ({id, data: {cron: {data}}}) => !id && data && `${plural(data.length, 'entry', 'entries')}, ${data.filter((entry) => state(entry) === 'active').length} active`,
  sources: (ctx) => ({cron: {path: '/cron', query: {outcomes: true}}, ...Object.fromEntries([...open(ctx)].flatMap((id) => {
    const {page, size} = turned(ctx, id), every = 3000 * open(ctx).size;
    return [[`e:${id}`, {path: path`/cron/${id}`, every}], [`h:${id}`, {path: path`/cron/${id}/history`, query: {page, limit: size}, every}]];
  }))}),
  events: ({kind, type}, {data}) => kind === 'cron' || (kind === 'job' && data.cron.data?.some(({job_type: own}) => own === type)),
  view(ctx) {
    const {id, query, data} = ctx, source = data.cron, all = source.data || [], cols = columns(ctx.now);
    if (id && data[`e:${id}`]?.error?.status === 404) return panel({id: 'gone', source: data[`e:${id}`], gone: {text: `There is no cron entry ${id}`, href: link('scheduler'), label: 'All entries'}});
    const fits = (entry) => (entry.id.includes(query.q) || entry.name.includes(query.q) || entry.job_type.includes(query.q)) && (!query.state || state(entry) === query.state);
    const part = shown(all.filter((entry) => (id ? entry.id === id : fits(entry))), cols, id ? {...query, page: 1} : query);
    return list({ctx, id: 'cron', title: id ? 'Entry' : 'All entries', source, fields: FIELDS, hide: id, columns: cols, more: MORE, part, all: all.length, what: 'Entries', empty: 'No schedule yet: entries come from scheduler.cron_entries in the configuration or from Server.schedule().', detail: (entry) => opened(ctx, entry), onopen: ctx.refetch});
  },
};
