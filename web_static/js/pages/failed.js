/* What went wrong: failures in groups of like errors, or one by one. */

import {deadControls} from '../actions.js';
import {get, isAdmin, path} from '../api.js';
import {spark} from '../chart.js';
import {h, update} from '../dom.js';
import {count, plural} from '../format.js';
import {bulk, jobList, jobParams, jobQuery} from '../joblist.js';
import {one} from '../router.js';
import {list} from '../table.js';
import {anchor, chip, choose, code, control, tabs, word} from '../ui.js';

const STATUSES = ['dead_letter', 'retry', 'failed'], SORTS = ['count', 'last', 'first', 'recent_5m'];
const FIELDS = [{name: 'type', label: 'Type', list: true, placeholder: 'mail.*'}, {name: 'error', label: 'Error contains'}, {name: 'since', label: 'Since', placeholder: '-15m'}, {name: 'until', label: 'Until', placeholder: '-1h'}];
const params = jobParams();

const sortOf = ({tab, sort}) => ((tab === 'groups') === SORTS.includes(sort) ? sort : tab === 'groups' ? SORTS[0] : 'time') || 'time';
/** What narrows the groups, as the API takes it: nothing that is empty. */
const narrowed = ({status, queue, type, error, since, until}) => Object.fromEntries(Object.entries({status: [status], queue, type, error, since, until}).filter(([, value]) => value.length));
const jobsOf = (query) => ({...query, status: [query.status], sort: sortOf(query)});
const more = (names, total) => [names.map((name) => chip(name)), total > names.length && ` +${count(total - names.length)}`];

const columns = (query) => [
  {key: 'count', label: 'Count', sort: true, cell: ({fingerprint, count: n}) => anchor('failed', null, plural(n, 'job'), {...narrowed(query), status: query.status === STATUSES[0] ? '' : query.status, tab: 'all', fingerprint})},
  {key: 'recent_5m', label: 'Last 5 min', num: true, sort: true, cell: ({recent_5m: n}) => h('span', {class: n ? 'bad' : 'muted'}, count(n))},
  {key: 'hour', label: 'Last hour', at: 'm', cell: ({hour}) => spark(hour, 'Failures in each 5 minutes, oldest first')},
  {key: 'error', label: 'Error', cell: ({error}) => h('span.template', error || 'no error text')},
  {key: 'types', label: 'Types', at: 'l', cell: (row) => more(row.types, row.types_total)},
  {key: 'queues', label: 'Queues', at: 'm', cell: (row) => more(row.queues, row.queues_total)},
  {key: 'first', label: 'First', sort: true, at: 'l', time: true},
  {key: 'last', label: 'Last', sort: true, time: true},
];

/** Reads the newest job of a group when its row is opened. */
async function sample({local}, {fingerprint, sample_id: id}) {
  const samples = (local.samples ??= {});
  if (samples[fingerprint]?.id === id) return;
  samples[fingerprint] = {id};
  try { Object.assign(samples[fingerprint], (await get(path`/jobs/${id}`)).data); } catch (error) { samples[fingerprint] = {error: error.status === 404 ? `Job ${id} has expired` : error.message}; }
  update();
}

function opened({query, local}, {fingerprint, sample_id: id}) {
  const {error, traceback} = local.samples?.[fingerprint] || {}, filter = () => ({...narrowed(query), fingerprint});
  const act = (action, label, danger) => control(label, () => bulk({action, label, title: `${label}?`, filter: filter()}), {danger, key: fingerprint});
  return h('div.sample', h('p', 'Sample: ', anchor('jobs', id)), h('p.bad', error || 'Reading…'), traceback && code(traceback, {label: 'Traceback', plain: true}),
    isAdmin() && h('div.actions', act('retry', 'Retry group'), act('delete', 'Delete group', true)));
}

function groups(ctx, empty) {
  const {query, data: {groups: source}} = ctx;
  // An open row follows its group to a newer sample.
  for (const row of source.data || []) if (ctx.local['open-groups']?.has(row.fingerprint)) sample(ctx, row);
  return list({ctx: {...ctx, query: {...query, sort: sortOf(query)}}, id: 'groups', key: 'fingerprint', title: 'Failures by error', source, fields: FIELDS, columns: columns(query), what: 'Groups', empty, detail: (row) => opened(ctx, row), onopen: (row, on) => on && sample(ctx, row)});
}

export default {
  interval: 10000,
  params: {...params, sort: one('', ...SORTS, 'time', 'id', 'type', 'created_at', 'retry_count', 'execution_duration'), status: one(...STATUSES.slice(0, 1), ...STATUSES), tab: one('groups', 'groups', 'all')},
  title: () => 'Failed',
  summary: ({data: {stats: {data}}}) => data && `${plural(data.dead_letter, 'dead letter')}, ${count(data.retry)} waiting for a retry`,
  actions: ({query: {queue, status}, data: {queues}}) => status === 'dead_letter' && queue.length === 1 && queues.data?.filter(({name}) => name === queue[0]).map((item) => deadControls(item, true)),
  sources: ({query}) => ({queues: {path: '/queues', every: 10000},
    ...(query.tab === 'all' ? {jobs: {path: '/jobs', query: jobQuery(jobsOf(query))}} : {groups: {path: '/failed/groups', query: {...narrowed(query), sort: sortOf(query), order: query.order, page: query.page, limit: query.size}}})}),
  events: ({kind, to, from}) => kind === 'queue' || STATUSES.includes(to) || STATUSES.includes(from),
  view(ctx) {
    const {query, data} = ctx, {tab, status, queue} = query, chosen = String(queue), named = (data.queues.data || []).map(({name, [status]: n}) => [name, n == null ? name : `${name} (${count(n)})`]);
    if (chosen && !named.some(([name]) => name === chosen)) named.push([chosen, chosen]);
    const empty = `No ${word(status)} jobs${chosen && ` in ${chosen}`}`, pick = (label, list, value, change) => h('label.field', h('span', label), choose(label, list, value, (to) => ctx.set({...change(to), page: 1})));
    return [h('div.failed-head', tabs({label: 'View', chosen: tab, items: [{id: 'groups', name: 'Groups'}, {id: 'all', name: 'All'}], onchoose: (to) => ctx.set({tab: to, page: 1, sort: '', order: 'desc', fingerprint: ''})}),
      pick('Status', STATUSES.map((name) => [name, word(name)]), status, (to) => ({status: to})), pick('Queue', [['', 'all queues'], ...named], chosen, (to) => ({queue: to ? [to] : []}))),
      tab === 'all' ? jobList({ctx: {...ctx, query: jobsOf(query)}, source: data.jobs, title: `Jobs: ${word(status)}`, without: ['status', 'queue'], empty}) : groups(ctx, empty)];
  },
};
