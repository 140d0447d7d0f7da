/* All servers: where they run, what their pools are, how busy they are. */

import {session} from '../api.js';
import {h} from '../dom.js';
import {count, plural} from '../format.js';
import {link, text} from '../router.js';
import {list, listParams, shown} from '../table.js';
import {anchor, badge, bar, chip} from '../ui.js';

const listed = (names) => names.join(', ');

const COLUMNS = [
  {key: 'id', label: 'Server, host · PID', text: ({id}) => id, sort: true, cell: ({id, hostname, pid}) => h('span.run', anchor('workers', null, id, {server: id}), h('small', `${hostname} · ${pid}`))},
  {key: 'status', label: 'Status', sort: true, cell: ({status}) => badge(status)},
  {key: 'scheduler', label: 'Scheduler', sort: true, at: 'l', by: ({scheduler}) => +scheduler, cell: ({scheduler}) => (scheduler ? 'yes' : h('span.muted', 'no'))},
  {key: 'pools', label: 'Pools', at: 'm', text: ({pools}) => listed(pools), cell: ({id, pools}) => h('span', pools.map((pool) => chip(pool, link('workers', null, {server: id, pool}))))},
  {key: 'types', label: 'Types', at: 'l', text: ({types}) => listed(types), cell: ({types}) => h('span', types.slice(0, 2).map((type) => chip(type)), types.length > 2 && h('span.muted', {title: listed(types)}, `+${types.length - 2}`))},
  {key: 'busy', label: 'Slots', sort: true, text: ({busy, concurrency_total: slots}) => `${busy} / ${slots}`, cell: ({busy, concurrency_total: slots}) => bar(busy, slots, `${count(busy)} / ${count(slots)}`)},
  {key: 'version', label: 'Version', text: ({version}) => version, sort: true, at: 'l', cell: ({version, runtime}) => h('span.run', h('span', version, ' ', version !== session.config.version && chip('differs')), h('small', runtime))},
  {key: 'last_heartbeat', label: 'Heartbeat', num: true, sort: true, time: true},
  {key: 'started_at', label: 'Started', num: true, sort: true, at: 'l', time: true},
];
const MORE = [{key: 'hostname', label: 'Host'}, {key: 'pid', label: 'PID'}, {key: 'runtime', label: 'Runtime'}];

export default {
  params: {...listParams(COLUMNS.filter(({sort}) => sort).map(({key}) => key)), q: text()},
  title: () => 'Servers',
  summary: ({data: {servers: {data}}}) => data && `${plural(data.length, 'server')}, ${data.filter(({status}) => status === 'stale').length} stale`,
  sources: () => ({servers: {path: '/servers'}}),
  // Heartbeats have no event of their own; the figures come every 5 s.
  events: ({kind}) => ['server', 'job', 'stats'].includes(kind),
  view(ctx) {
    const {query, data: {servers: source}} = ctx, all = source.data || [];
    const part = shown(all.filter(({id, hostname}) => id.includes(query.q) || hostname.includes(query.q)), COLUMNS, query);
    return list({ctx, id: 'servers', title: 'All servers', source, fields: [{name: 'q', label: 'Server or host'}], columns: COLUMNS, more: MORE, part, all: all.length, what: 'Servers', empty: 'No server is running: start one with gqm run, or start a Server in your program.'});
  },
};
