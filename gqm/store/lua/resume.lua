-- needs: report
-- Lets servers claim jobs of a paused queue again, and wakes those that wait for it.
--
-- KEYS  1 paused  2 queues
-- ARGV  1 prefix  2 queue  3 replay 0|1 (an answer was lost)
-- Returns 1 changed (replay: it is not paused), 0 not paused before, 'missing' no such queue
local paused, queues, q, replay = KEYS[1], KEYS[2], ARGV[2], ARGV[3] == '1'

local bad = wrong_type(paused, 'set', queues, 'set')
if bad then return bad end
if call('SREM', paused, q) == 1 then
  control('{"op":"wake","queue":' .. cjson.encode(q) .. '}')
  return 1
end
if call('SISMEMBER', queues, q) == 0 then return 'missing' end
return replay and 1 or 0
