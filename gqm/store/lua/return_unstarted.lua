-- needs: settle
-- Hands claims of one queue back to the front of its ready list, uncounted: at shutdown, or when a claim
-- could not be started in time.
--
-- KEYS  1 ready  2 processing
-- ARGV  1 prefix  2 queue  then per job, in claim order: id, token, worker id, started 0|1
-- Returns answers: 1 handed back, 2 handed back before, 0 not yours
local ready, processing = KEYS[1], KEYS[2]
local q = ARGV[2]

local bad = wrong_type(ready, 'list', processing, 'zset')
if bad then return bad end
local items = {}
for at = 3, #ARGV, 4 do
  local item = { id = ARGV[at], token = ARGV[at + 1], worker = ARGV[at + 2], started = ARGV[at + 3] == '1' }
  item.h = pcall_('HMGET', job_key(item.id), 'status', 'claim', 'worker_id', 'settled')
  items[#items + 1] = item
end
local held = judge(items, processing, 'return')
if #held == 0 then return answers(items) end

hand_back(held, q, processing, ready)
report('return')
return answers(items)
