-- needs: uproot
-- Ends a live job as canceled, and with it the children that needed it. A running handler is told to stop.
--
-- KEYS  1 job hash
-- ARGV  1 prefix  2 id  3 reason  4 default failure_ttl, '' = servers' setting  5 replay 0|1 (an answer was lost)
-- Returns {'ok', old state, id of the server whose handler is told to stop or '', canceled children,
--           released children}
--         {'ok', '', '', 0, 0}   replay: it is canceled
--         {'state', state}       not a live job; nothing written
--         {'missing'}
local key, id, reason, failure_default, replay = KEYS[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'

local bad = wrong_type(key, 'hash')
if bad then return bad end
local h = call('HMGET', key, 'status', 'queue', 'failure_ttl', 'claim', 'worker_id')
local status, q = h[1], queue_name(h[2])
if not status or status == '' then return { 'missing' } end
if replay and status == 'canceled' then return { 'ok', '', '', 0, 0 } end
if not LIVE[status] then return { 'state', status } end
local place, kind = container_of(status, q)
bad = wrong_type(place, kind, queue_key(q, 'canceled'), 'zset')
if bad then return bad end

local server = end_live(id, h, 'canceled', reason, failure_default)
local released, canceled = tell_children({ { id, false } }, failure_default)
report('cancel')
return { 'ok', status, server, canceled, released }
