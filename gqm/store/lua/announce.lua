-- needs: base
-- Lists the queues of a server and stores its retention times for clients that have no configuration.
--
-- KEYS  1 queues  2 settings
-- ARGV  1 prefix  2 result_ttl s  3 failure_ttl s  then the queue names
-- Returns the number of queues that were not listed before
local bad = wrong_type(KEYS[1], 'set', KEYS[2], 'hash')
if bad then return bad end
-- Takes nothing away: a server that is out of memory lets the call through at it. Only running servers free memory.
call('SREM', KEYS[1], '')
call('HSET', KEYS[2], 'result_ttl', ARGV[2], 'failure_ttl', ARGV[3])
if #ARGV < 4 then return 0 end
return call('SADD', KEYS[1], unpack(ARGV, 4))
