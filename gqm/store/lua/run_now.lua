-- needs: place
-- Runs a job now that waits for its time; its counters stay as they are.
--
-- KEYS  1 job hash
-- ARGV  1 prefix  2 id  3 replay 0|1 (an answer was lost)
-- Returns {'ok', old state}  scheduled or retry
--         {'ok', ''}         replay: it is ready, or runs already
--         {'state', state}   nothing written; also a job that somebody is just promoting
--         {'missing'}
local key, id, replay = KEYS[1], ARGV[2], ARGV[3] == '1'
local scheduled = P .. 'scheduled'

local bad = wrong_type(key, 'hash')
if bad then return bad end
local h = call('HMGET', key, 'status', 'queue', 'enqueue_at_front')
local status, q = h[1], queue_name(h[2])
if not status or status == '' then return { 'missing' } end
if replay and (status == 'ready' or status == 'processing') then return { 'ok', '' } end
if status ~= 'scheduled' and status ~= 'retry' then return { 'state', status } end
bad = wrong_type(scheduled, 'zset', queue_key(q, 'ready'), 'list')
if bad then return bad end
if not call('ZSCORE', scheduled, id) then return { 'state', status } end

call('ZREM', scheduled, id)
if h[2] ~= q then call('HSET', key, 'queue', q) end
push_ready(id, q, h[3] == '1')
changed(id, q, status, 'ready')
report('run_now')
return { 'ok', status }
