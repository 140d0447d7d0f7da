-- needs: settle
-- Ends jobs of one queue as completed, releases their children.
--
-- KEYS  1 processing  2 completed
-- ARGV  1 prefix  2 queue  3 default result_ttl, '' = servers' setting  4 default failure_ttl
--       then per job: id, token, worker id, handler time ms, result JSON or '', note why there is no result or ''
-- Returns {answers (1 done, 2 done before, 0 not yours), released children, canceled children}
local processing, completed = KEYS[1], KEYS[2]
local q, default_ttl, failure_default = ARGV[2], ARGV[3], ARGV[4]

local bad = wrong_type(completed, 'zset')
if bad then return bad end
local items = {}
for at = 5, #ARGV, 6 do
  local item = { id = ARGV[at], token = ARGV[at + 1], worker = ARGV[at + 2], ms = ARGV[at + 3],
    result = ARGV[at + 4], note = ARGV[at + 5] }
  item.h = call('HMGET', job_key(item.id), 'status', 'claim', 'worker_id', 'settled', 'result_ttl', 'error',
    'attempt', 'transient_since', 'unknown_since', 'traceback')
  items[#items + 1] = item
end
local held = judge(items, processing, 'complete')
if #held == 0 then return { answers(items), 0, 0 } end

-- Most jobs have no children: one EXISTS over all tells.
local family = {}
for _, item in ipairs(held) do
  local key = job_key(item.id)
  family[#family + 1] = key .. ':dependents'
  family[#family + 1] = key .. ':children'
end
local has_family = call('EXISTS', unpack(family)) > 0

drop(held, processing)
local done, parents, run_ms = {}, {}, 0
for _, item in ipairs(held) do
  local key, h = job_key(item.id), item.h
  local r = ttl_of('result_ttl', h[5], default_ttl)
  if r ~= 0 then
    if item.result ~= '' then
      call('HSET', key, 'status', 'completed', 'completed_at', NOW, 'execution_duration', item.ms,
        'settled', item.token .. '/complete', 'result', item.result)
    else
      call('HSET', key, 'status', 'completed', 'completed_at', NOW, 'execution_duration', item.ms,
        'settled', item.token .. '/complete')
    end
    if item.note ~= '' then call('HSET', key, 'result_note', item.note) end
    if h[6] or h[8] or h[9] or h[10] then
      call('HDEL', key, 'claim', 'error', 'traceback', 'transient_since', 'unknown_since')
    else
      call('HDEL', key, 'claim')
    end
  end
  if retain(item.id, r, not has_family and whole(h[7], 1) <= 1) then
    done[#done + 1] = NOW
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
