-- needs: uproot
-- Deletes the dead letters of a queue, those that died first before the others: one step.
--
-- KEYS  1 dead_letter
-- ARGV  1 prefix  2 queue  3 limit (1..500)  4 cut-off: only jobs that died until this second, '' = now
-- Ids without a dead letter behind them are only taken out: expired, or in another state by now.
-- Returns {deleted, ids taken out, jobs left until the cut-off, cut-off second}
local dead_letter, q, limit, cutoff = KEYS[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]) or NOW

local bad = wrong_type(dead_letter, 'zset')
if bad then return bad end
local ids = call('ZRANGE', dead_letter, '-inf', int(cutoff), 'BYSCORE', 'LIMIT', 0, limit)
local dead, strays = {}, 0
for _, id in ipairs(ids) do
  if pcall_('HGET', job_key(id), 'status') == 'dead_letter' then
    dead[#dead + 1] = { id, q }
  else
    strays = strays + 1
  end
end

if #ids > 0 then in_chunks('ZREM', dead_letter, ids) end
delete_jobs(dead)
for _, item in ipairs(dead) do changed(item[1], q, 'dead_letter', 'deleted') end
report('clear_dlq')
return { #dead, strays, call('ZCOUNT', dead_letter, '-inf', int(cutoff)), int(cutoff) }
