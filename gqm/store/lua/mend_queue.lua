-- needs: base
-- Lists a queue that has jobs and stands in no list of queues.
--
-- KEYS  1 queues
-- ARGV  1 prefix  2 queue
-- Returns 1 listed now, 0 it was listed, or has no container
local queues, q = KEYS[1], ARGV[2]
local bad = wrong_type(queues, 'set')
if bad then return bad end
local found = call('EXISTS', queue_key(q, 'ready'), queue_key(q, 'processing'), queue_key(q, 'completed'),
  queue_key(q, 'dead_letter'), queue_key(q, 'canceled'))
return found > 0 and call('SADD', queues, q) or 0
