-- needs: recover
-- Recovers all claims of a server whose lease has ended, or that is proved to be gone, and takes its lease away.
--
-- KEYS  1 leases  2 claims hash of the server
-- ARGV  1 prefix  2 server id  3 observed score of its lease, '' = none  4 proof 0|1  5 error text
--       6 default failure_ttl, '' = servers' setting
-- Without proof the score must have passed. A server without a lease is dead whatever was observed: then only
-- claims that are left over are recovered, so a repeated call finds nothing to do.
-- Returns {ready again, dead letters, records without a job, broken keys}: claims of queues with a broken key stay
-- Returns nil, and has done nothing: the server renewed its lease, or its score has not passed yet
local leases, claims = KEYS[1], KEYS[2]
local server, observed, proof, text, failure_default = ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1', ARGV[5], ARGV[6]

local bad = wrong_type(leases, 'zset', claims, 'hash')
if bad then return bad end
local score = tonumber(call('ZSCORE', leases, server) or nil)
if score and (score ~= observed or not (proof or score * 1000 < NOW_MS)) then return false end
local left, stale = left_claims(claims, server)

if score then call('ZREM', leases, server) end
if #stale > 0 then in_chunks('HDEL', claims, stale) end
local again, dead = recover(left, text, failure_default)
report('reap')
return { again, dead, #stale, broken }
