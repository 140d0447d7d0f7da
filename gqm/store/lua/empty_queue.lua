-- needs: family
-- Cancels the ready jobs of a queue, the next to run first, and with them the children that needed them: one step.
--
-- KEYS  1 ready
-- ARGV  1 prefix  2 queue  3 limit (1..500)  4 most ids to take in all the steps together, '' = as many as there are
--       5 cut-off: only jobs that became ready until this unix ms, '' = now  6 reason
--       7 default failure_ttl, '' = servers' setting
-- Ids without a ready job behind them are taken out. Jobs that came after the cut-off stay where they are.
-- Returns {canceled, ids taken out, most ids of the steps to come, cut-off unix ms}
local ready, q, limit, left = KEYS[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local cutoff, reason, failure_default = tonumber(ARGV[5]) or NOW_MS, ARGV[6], ARGV[7]

-- 1. Reads and guards.
local bad = wrong_type(ready, 'list', queue_key(q, 'canceled'), 'zset')
if bad then return bad end
left = math.min(left or call('LLEN', ready), call('LLEN', ready))
local run = left > 0 and call('LRANGE', ready, -math.min(limit, left), -1) or {}
local old, newer, seen, strays = {}, {}, {}, 0
for i = #run, 1, -1 do
  local id = run[i]
  local h = pcall_('HMGET', job_key(id), 'status', 'ready_at_ms', 'created_at', 'failure_ttl', 'queue')
  if h[1] ~= 'ready' or seen[id] then
    strays = strays + 1
  elseif (whole(h[2]) or whole(h[3], 0) * 1000) > cutoff then
    newer[#newer + 1] = id
  else
    old[#old + 1] = { id, h[4], h[5] }
  end
  seen[id] = true
end
if #old + strays == 0 then return { 0, 0, 0, int(cutoff) } end

-- 2. Writes.
call('RPOP', ready, #run)
local order = {}
for n = #newer, 1, -1 do order[#order + 1] = newer[n] end
if #order > 0 then in_chunks('RPUSH', ready, order) end
local parents = {}
for i, item in ipairs(old) do
  if item[3] ~= q then call('HSET', job_key(item[1]), 'queue', q) end
  end_unrun(item[1], q, 'ready', 'canceled', reason, item[2], failure_default)
  parents[i] = { item[1], false }
end
tell_children(parents, failure_default)
report('empty_queue')
return { #old, strays, left - #old - strays - #newer, int(cutoff) }
