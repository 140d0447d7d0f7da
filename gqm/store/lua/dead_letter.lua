-- needs: settle
-- Ends jobs of one queue in its dead-letter set and cancels the children that needed them.
--
-- KEYS  1 processing  2 dead_letter
-- ARGV  1 prefix  2 queue  3 default failure_ttl, '' = servers' setting
--       then per job: id, token, worker id, handler time ms or '', error, traceback or '',
--       attempt entry (JSON object without times) or '', flags: c (isolated process died) or ''
-- Returns {answers (1 done, 2 done before, 0 not yours), released children, canceled children}
local processing, dead_letter = KEYS[1], KEYS[2]
local q, default_ttl = ARGV[2], ARGV[3]

local bad = wrong_type(processing, 'zset', dead_letter, 'zset')
if bad then return bad end
local items = {}
for at = 4, #ARGV, 8 do
  local item = { id = ARGV[at], token = ARGV[at + 1], worker = ARGV[at + 2], ms = ARGV[at + 3],
    error = ARGV[at + 4], traceback = ARGV[at + 5], entry = ARGV[at + 6], flags = ARGV[at + 7] }
  item.h = pcall_('HMGET', job_key(item.id), 'status', 'claim', 'worker_id', 'settled', 'failure_ttl', 'started_at')
  items[#items + 1] = item
end
local held = judge(items, processing, 'dead_letter')
if #held == 0 then return { answers(items), 0, 0 } end

drop(held, processing)
for _, item in ipairs(held) do
  if item.flags == 'c' then pcall_('HINCRBY', job_key(item.id), 'crashes', 1) end
end
local released, canceled = bury(held, q, dead_letter, default_ttl)
report('dead_letter')
return { answers(items), released, canceled }
