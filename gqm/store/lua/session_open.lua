-- needs: base
-- Stores a new session of a browser.
--
-- KEYS  1 session  2 sessions of the user
-- ARGV  1 prefix  2 longest life s  3 idle limit s  4 digest of the token  then further fields and values
-- Returns the time in seconds at which it was made
local life, idle = tonumber(ARGV[2]), tonumber(ARGV[3])

local bad = wrong_type(KEYS[1], 'hash', KEYS[2], 'set')
if bad then return bad end
call('HSET', KEYS[1], 'created_at', int(NOW), 'seen_at', int(NOW), unpack(ARGV, 5))
call('EXPIRE', KEYS[1], math.min(life, idle))
call('SADD', KEYS[2], ARGV[4])
call('EXPIRE', KEYS[2], math.max(life, call('TTL', KEYS[2])))
return NOW
