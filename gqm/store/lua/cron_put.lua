-- needs: report
-- Stores a cron entry if it still reads as the caller saw it, and with it the last handled slot and where the entry
-- comes from. Schedulers hear of it on the control channel.
--
-- KEYS  1 cron:entries  2 cron:slots  3 cron:meta
-- ARGV  1 prefix  2 entry id  3 expected JSON, '' = there is none  4 new JSON  5 new slot (unix s), '' = as it is
--       6 new meta, '' = as it is
-- Returns 1     stored, also when this very call stored it before
--         JSON  what stands there instead, '' = nothing; nothing written
local entries, slots, meta = KEYS[1], KEYS[2], KEYS[3]
local id, expected, new, slot, new_meta = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local bad = wrong_type(entries, 'hash', slots, 'hash', meta, 'hash')
if bad then return bad end
local stored = call('HGET', entries, id) or ''
if stored ~= expected then return stored == new and 1 or stored end

-- Takes nothing away: a server that is out of memory lets the call through at it, so that servers can start there.
call('HDEL', entries, '')
call('HSET', entries, id, new)
if slot ~= '' then call('HSET', slots, id, slot) end
if new_meta ~= '' then call('HSET', meta, id, new_meta) end
control('{"op":"cron","id":' .. cjson.encode(id) .. '}')
return 1
