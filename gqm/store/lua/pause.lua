-- needs: base
-- Keeps all servers from claiming jobs of a queue.
--
-- KEYS  1 paused  2 queues
-- ARGV  1 prefix  2 queue  3 replay 0|1 (an answer was lost)
-- Returns 1 changed (replay: it is paused), 0 paused before, 'missing' no such queue
local paused, queues, q, replay = KEYS[1], KEYS[2], ARGV[2], ARGV[3] == '1'

local bad = wrong_type(paused, 'set', queues, 'set')
if bad then return bad end
if call('SISMEMBER', paused, q) == 1 then return replay and 1 or 0 end
if call('SISMEMBER', queues, q) == 0 then return 'missing' end
return call('SADD', paused, q)
