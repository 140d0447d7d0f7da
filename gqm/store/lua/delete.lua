-- needs: uproot
-- Deletes a job that is not running, with everything that belongs to it; the end of a live one cancels or releases
-- its children first.
--
-- KEYS  1 job hash
-- ARGV  1 prefix  2 id  3 default failure_ttl, '' = servers' setting  4 replay 0|1 (an answer was lost)
-- Returns {'ok', old state}       deleted
--         {'ok', ''}              replay: it is gone
--         {'state', 'processing'} nothing written
--         {'missing'}
local key, id, failure_default, replay = KEYS[1], ARGV[2], ARGV[3], ARGV[4] == '1'

local bad = wrong_type(key, 'hash')
if bad then return bad end
local h = call('HMGET', key, 'status', 'queue')
local status, q = h[1], queue_name(h[2])
if not status or status == '' then return replay and { 'ok', '' } or { 'missing' } end
if status == 'processing' then return { 'state', status } end
local place, kind = container_of(status, q)
bad = place and wrong_type(place, kind)
if bad then return bad end

take_out(id, status, q, '')
if LIVE[status] then
  tell_children({ { id, false } }, failure_default)
  count(q, 'deleted')
end
delete_jobs({ { id, q } })
changed(id, q, status, 'deleted')
report('delete')
return { 'ok', status }
