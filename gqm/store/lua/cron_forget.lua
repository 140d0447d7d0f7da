-- needs: report
-- Deletes a cron entry and all that is kept about it, if it still reads as the caller saw it. Its jobs stay.
--
-- KEYS  1 cron:entries  2 cron:slots  3 cron:meta  4 history  5 current  6 active
-- ARGV  1 prefix  2 entry id  3 expected JSON  4 replay 0|1 (an answer was lost)
-- Returns {'ok'}             deleted
--         {'changed', JSON}  what stands there instead; nothing written
--         {'missing'}
local entries, slots, meta = KEYS[1], KEYS[2], KEYS[3]
local id, expected, replay = ARGV[2], ARGV[3], ARGV[4] == '1'

local bad = wrong_type(entries, 'hash', slots, 'hash', meta, 'hash')
if bad then return bad end
local stored = call('HGET', entries, id)
if not stored then return { replay and 'ok' or 'missing' } end
if stored ~= expected then return { 'changed', stored } end

call('HDEL', entries, id)
call('HDEL', slots, id)
call('HDEL', meta, id)
call('DEL', KEYS[4], KEYS[5], KEYS[6])
control('{"op":"cron","id":' .. cjson.encode(id) .. '}')
return { 'ok' }
