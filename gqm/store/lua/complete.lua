-- needs: settle
-- Ends jobs of one queue as completed, releases their children.
--
-- KEYS  1 processing  2 completed
-- ARGV  1 prefix  2 queue  3 default result_ttl, '' = servers' setting  4 default failure_ttl  5 worker id
--       then per job: id, token, handler time ms, flags, and what the flags announce, in this order:
--       w  another worker id than the first
--       r  the result as JSON
--       n  a note why there is no result
--       x  (nothing) before its claim the job had run, or had a result_ttl of its own
-- Returns {answers (1 done, 2 done before, 0 not yours), released children, canceled children}
-- Numbers that go into commands are texts where they can be: Redis prints each number with 17 digits.
local processing, completed = KEYS[1], KEYS[2]
local q, default_ttl, failure_default = ARGV[2], ARGV[3], ARGV[4]

local bad = wrong_type(processing, 'zset', completed, 'zset')
if bad then return bad end

local items, at = {}, 6
local function next_arg()
  at = at + 1
  return ARGV[at - 1]
end
while ARGV[at] do
  local item = { id = next_arg(), token = next_arg(), ms = next_arg(), worker = ARGV[5] }
  local flags = next_arg()
  if flags ~= '' then
    if string.find(flags, 'w', 1, true) then item.worker = next_arg() end
    if string.find(flags, 'r', 1, true) then item.result = next_arg() end
    if string.find(flags, 'n', 1, true) then item.note = next_arg() end
    item.had_run = string.find(flags, 'x', 1, true)
  end
  if item.had_run then
    item.h = pcall_('HMGET', job_key(item.id), 'status', 'claim', 'worker_id', 'settled', 'result_ttl')
  else
    item.h = pcall_('HMGET', job_key(item.id), 'status', 'claim', 'worker_id')
  end
  items[#items + 1] = item
end
local held = judge(items, processing, 'complete')
if #held == 0 then return { answers(items), 0, 0 } end

-- Most jobs have no children: one EXISTS over all tells.
local family = {}
for i, item in ipairs(held) do
  item.key = job_key(item.id)
  family[2 * i - 1] = item.key .. ':dependents'
  family[2 * i] = item.key .. ':children'
end
local has_family = call('EXISTS', unpack(family)) > 0

drop(held, processing)
local now_s = TIME[1]
local default_r = ttl_of('result_ttl', nil, default_ttl)
local done, parents, run_ms = {}, {}, 0

local function finish(item)
  local key = item.key
  call('HSET', key, 'status', 'completed', 'completed_at', now_s, 'execution_duration', item.ms,
    'settled', item.token .. '/complete')
  if item.result then call('HSET', key, 'result', item.result) end
  if item.note then call('HSET', key, 'result_note', item.note) end
  if item.had_run then
    call('HDEL', key, 'claim', 'error', 'traceback', 'transient_since', 'unknown_since')
  else
    call('HDEL', key, 'claim')
  end
end

for _, item in ipairs(held) do
  local r = item.had_run and ttl_of('result_ttl', item.h[5], default_ttl) or default_r
  if r ~= 0 then finish(item) end
  if retain(item.id, r, not has_family and not item.had_run) then
    done[#done + 1] = now_s
    done[#done + 1] = item.id
  end
  run_ms = run_ms + whole(item.ms, 0)
  if has_family then parents[#parents + 1] = { item.id, true } end
  changed(item.id, q, 'processing', 'completed')
end
if #done > 0 then in_chunks('ZADD', completed, done) end
count(q, 'processed', #held)
count(q, 'run_ms', run_ms)
local released, canceled = tell_children(parents, failure_default)
report('complete')
return { answers(items), released, canceled }
