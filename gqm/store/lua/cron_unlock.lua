-- needs: base
-- Frees the lock that a scheduler of another program holds on a cron entry.
--
-- KEYS  1 lock
-- ARGV  1 prefix  2 owner  3 replay 0|1 (an answer was lost)
-- Returns 1 freed, 0 the lock is not the owner's
local bad = wrong_type(KEYS[1], 'string')
if bad then return bad end
local owner = call('GET', KEYS[1])
if not owner and ARGV[3] == '1' then return 1 end
if owner ~= ARGV[2] then return 0 end
call('DEL', KEYS[1])
return 1
