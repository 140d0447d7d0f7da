-- needs: clock
-- Reads a session and, at most once a minute, notes that it is used.
--
-- KEYS  1 session
-- ARGV  1 prefix  2 longest life s  3 idle limit s
-- Returns fields and values; {} if it is over or never was
local life, idle = tonumber(ARGV[2]), tonumber(ARGV[3])

local found = call('HMGET', KEYS[1], 'created_at', 'seen_at')
local created, seen = tonumber(found[1] or ''), tonumber(found[2] or '')
if not created or not seen then return {} end
local left = created + life - NOW
if left <= 0 or seen + idle <= NOW then
  call('DEL', KEYS[1])
  return {}
end
if seen + 60 <= NOW then
  -- A server that refuses writes must not sign anybody out.
  local noted = pcall_('HSET', KEYS[1], 'seen_at', int(NOW))
  if type(noted) == 'number' then pcall_('EXPIRE', KEYS[1], math.min(left, idle)) end
end
return call('HGETALL', KEYS[1])
