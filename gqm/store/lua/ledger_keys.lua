-- needs: clock
-- Reads what kind of keys some are, and when they expire. Changes nothing.
--
-- KEYS  1.. the keys
-- ARGV  1 prefix
-- Returns per key {type, seconds to live: -1 no expiry, -2 no such key}
local answers = {}
for i, key in ipairs(KEYS) do answers[i] = { call('TYPE', key).ok, call('TTL', key) } end
return answers
