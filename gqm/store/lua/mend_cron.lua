-- needs: base
-- Deletes what is kept about a cron entry that there is not.
--
-- KEYS  1 cron:entries  2 cron:slots  3 cron:meta  4 history  5 current  6 active
-- ARGV  1 prefix  2 entry id
-- Returns the number of fields and keys that went; 0 if there is such an entry
local id = ARGV[2]
local bad = wrong_type(KEYS[1], 'hash', KEYS[2], 'hash', KEYS[3], 'hash')
if bad then return bad end
if call('HEXISTS', KEYS[1], id) == 1 then return 0 end
return call('HDEL', KEYS[2], id) + call('HDEL', KEYS[3], id) + call('DEL', KEYS[4], KEYS[5], KEYS[6])
