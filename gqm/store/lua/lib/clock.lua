-- lib/clock: prefix and time, all that the shortest scripts need.
-- ARGV[1] is always the key prefix. Times come from the server, never from a caller.
local P = ARGV[1]
local call, pcall_ = redis.call, redis.pcall
local TIME = call('TIME')
local NOW = tonumber(TIME[1])
local NOW_MS = NOW * 1000 + math.floor(tonumber(TIME[2]) / 1000)

-- A whole number as text, also above the 14 digits that tostring() keeps.
local function int(n) return string.format('%d', n) end
