-- needs: revive
-- Runs the dead letters of a queue again, those that died first in front: one step.
--
-- KEYS  1 dead_letter
-- ARGV  1 prefix  2 queue  3 limit (1..500)  4 cut-off: only jobs that died until this second, '' = now
-- Ids without a dead letter behind them are taken out: expired, or in another state by now.
-- Returns {requeued, ids taken out, jobs left until the cut-off, cut-off second}
local dead_letter, q, limit, cutoff = KEYS[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]) or NOW

local bad = wrong_type(dead_letter, 'zset', queue_key(q, 'ready'), 'list')
if bad then return bad end
local ids = call('ZRANGE', dead_letter, '-inf', int(cutoff), 'BYSCORE', 'LIMIT', 0, limit)
local dead, strays = {}, 0
for _, id in ipairs(ids) do
  local h = pcall_('HMGET', job_key(id), 'status', 'queue')
  if h[1] == 'dead_letter' then
    dead[#dead + 1] = { id, h[2] }
  else
    strays = strays + 1
  end
end

if #ids > 0 then in_chunks('ZREM', dead_letter, ids) end
for _, item in ipairs(dead) do
  if item[2] ~= q then call('HSET', job_key(item[1]), 'queue', q) end
  revive(item[1], q, 'dead_letter')
end
report('requeue_dlq')
return { #dead, strays, call('ZCOUNT', dead_letter, '-inf', int(cutoff)), int(cutoff) }
