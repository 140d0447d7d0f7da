/* Who did what, newest first, and the API keys that there are. For admins. */

import {h} from '../dom.js';
import {plural} from '../format.js';
import {link, one, text, time} from '../router.js';
import {list, listParams, table} from '../table.js';
import {badge, panel} from '../ui.js';

const {page, size} = listParams(['ts']);
const PAGE = {job: 'jobs', queue: 'queues', dlq: 'queues', cron: 'scheduler'};
const change = ({before, after}) => (before || after) && `${before || '–'} → ${after || '–'}`;

function target({action, target: id}) {
  const to = PAGE[action.split('.')[0]];
  return id ? h(to ? 'a.target' : 'span.target', {href: to && link(to, id), title: id}, id) : '–';
}

const COLUMNS = [
  {key: 'ts', label: 'Time', time: true}, {key: 'actor', label: 'Actor'}, {key: 'role', label: 'Role', at: 'l'}, {key: 'source', label: 'Source', at: 'l'}, {key: 'address', label: 'Address', at: 'l'},
  {key: 'action', label: 'Action', cell: ({action}) => h('code', action)}, {key: 'target', label: 'Target', cell: target},
  {key: 'ok', label: 'Result', text: ({ok, code}) => (ok ? 'ok' : code), cell: ({ok, code}) => (ok ? badge('completed', 'ok') : badge('failed', code))},
  {key: 'change', label: 'Before → After', at: 'm', text: change, cell: (row) => change(row) || '–'}, {key: 'count', label: 'Count', num: true, at: 'm'},
  {key: 'request_id', label: 'Request', at: 'l', cell: ({request_id: id}) => (id ? h('code', id) : '–')},
];
const KEYS = [{key: 'name', label: 'Name'}, {key: 'role', label: 'Role'}, {key: 'last_used_at', label: 'Last used', time: true}, {key: 'last_address', label: 'From'}];
const FIELDS = [{name: 'actor', label: 'Actor'}, {name: 'action', label: 'Action', placeholder: 'job.*'}, {name: 'target', label: 'Target'}, {name: 'ok', label: 'Result', type: 'choice', options: [['', 'All'], ['true', 'Ok'], ['false', 'Refused']]},
  {name: 'since', label: 'Since', placeholder: '-24h'}, {name: 'until', label: 'Until', placeholder: '-1h'}];

export default {
  interval: 15000,
  params: {page, size, actor: text(), action: text(64), target: text(), ok: one('', 'true', 'false'), since: time, until: time},
  title: () => 'Audit',
  summary: ({data: {audit: {data, meta}}}) => data && plural(meta.total, 'entry', 'entries'),
  sources: ({query: {page: number, size: limit, ...query}}) => ({audit: {path: '/audit', query: {...query, page: number, limit}}, keys: {path: '/auth/keys', every: 60000}}),
  view(ctx) {
    const {data: {audit, keys}, admin} = ctx;
    return [list({ctx, id: 'audit', title: 'What was done', source: audit, fields: FIELDS, hide: !admin, columns: COLUMNS, what: 'Entries', empty: 'No entry yet: each change, sign-in and refusal will be here.'}),
      admin && panel({id: 'keys', title: 'API keys', source: keys, flush: true, empty: 'No API key is configured.', body: (rows) => table({ctx, id: 'key-list', key: 'name', columns: KEYS, rows, caption: plural(rows.length, 'key')})})];
  },
};
