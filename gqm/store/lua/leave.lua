-- needs: recover
-- A server stops: its lease and its records go, and claims that are left over are recovered at once.
--
-- KEYS  1 leases  2 claims hash of the server  3 server hash  4 servers  5 workers  then one worker hash per pool
-- ARGV  1 prefix  2 server id  3 error text for left-over claims  4 default failure_ttl, '' = servers' setting
--       then the worker ids
-- Returns {ready again, dead letters, broken keys}: claims of queues with a broken key stay; both numbers are 0
-- after a clean stop, and when the call is sent again
local leases, claims = KEYS[1], KEYS[2]
local server, text, failure_default = ARGV[2], ARGV[3], ARGV[4]

local bad = wrong_type(leases, 'zset', claims, 'hash', KEYS[4], 'set', KEYS[5], 'set')
if bad then return bad end
local left, stale = left_claims(claims, server)

call('ZREM', leases, server)
call('SREM', KEYS[4], server)
call('DEL', KEYS[3])
for i = 6, #KEYS do
  call('SREM', KEYS[5], ARGV[i - 1])
  call('DEL', KEYS[i])
end
if #stale > 0 then in_chunks('HDEL', claims, stale) end
local again, dead = recover(left, text, failure_default)
report('reap')
return { again, dead, broken }
