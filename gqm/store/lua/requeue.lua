-- needs: revive
-- Runs an ended job again: to the back of its queue, its error and its counts forgotten.
--
-- KEYS  1 job hash
-- ARGV  1 prefix  2 id  3 replay 0|1 (an answer was lost)
-- Returns {'ok', old state}  dead_letter, failed, canceled or stopped
--         {'ok', ''}         replay: it is ready, or runs already
--         {'state', state}   nothing written
--         {'missing'}
local key, id, replay = KEYS[1], ARGV[2], ARGV[3] == '1'

local bad = wrong_type(key, 'hash')
if bad then return bad end
local h = call('HMGET', key, 'status', 'queue')
local status, q = h[1], queue_name(h[2])
if not status or status == '' then return { 'missing' } end
if replay and (status == 'ready' or status == 'processing') then return { 'ok', '' } end
if not REVIVABLE[status] then return { 'state', status } end
local terminal = queue_key(q, status == 'dead_letter' and status or 'canceled')
bad = wrong_type(terminal, 'zset', queue_key(q, 'ready'), 'list')
if bad then return bad end

call('ZREM', terminal, id)
if h[2] ~= q then call('HSET', key, 'queue', q) end
revive(id, q, status)
report('requeue')
return { 'ok', status }
