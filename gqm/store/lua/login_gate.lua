-- needs: base
-- Counts logins before a password is checked, and turns them away when there were too many.
--
-- KEYS  1 counter of the pair of user and address  2 counter of the address
-- ARGV  1 prefix  2 try|clear  3 most tries of the pair  4 most tries of the address  5 window s
-- A try counts at once; one that is turned away neither counts nor makes the window longer. A lost answer costs a
-- try. clear: the password was right, so the pair is forgotten, and the address does not count this login.
-- Returns {allowed 0|1, seconds to wait}
local pair, address, mode = KEYS[1], KEYS[2], ARGV[2]
local limits, window = { tonumber(ARGV[3]), tonumber(ARGV[4]) }, ARGV[5]

local bad = wrong_type(pair, 'string', address, 'string')
if bad then return bad end
local tries = { whole(call('GET', pair), 0), whole(call('GET', address), 0) }

if mode == 'clear' then
  if call('DEL', pair) == 1 and tries[2] > 0 then call('DECR', address) end
  return { 1, 0 }
end

local wait_ms = 0
for i, key in ipairs({ pair, address }) do
  if tries[i] >= limits[i] then wait_ms = math.max(wait_ms, call('PTTL', key), 1) end
end
if wait_ms > 0 then return { 0, math.ceil(wait_ms / 1000) } end
for _, key in ipairs({ pair, address }) do
  if call('INCR', key) == 1 then call('EXPIRE', key, window) end
end
return { 1, 0 }
