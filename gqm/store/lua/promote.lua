-- needs: report
-- Moves jobs that are due from `scheduled` to the ready lists of their queues, in due order.
--
-- KEYS  1 scheduled
-- ARGV  1 prefix  2 limit
-- Jobs that ask for the front are pushed last and in reverse, so that the earliest of them is next. Ids without a
-- job that waits for its time are dropped. Jobs of a queue whose ready list has a wrong type stay where they are.
-- Returns {moved, dropped, next due second as text or '', more 0|1, broken keys, server time in unix ms}
--   next due  the first score that is still ahead
--   more      whether another call would move more at once
local scheduled, limit = KEYS[1], tonumber(ARGV[2])
local MAX_PAGES = 10

-- 1. Reads and guards. Pages beyond the first are only read to get past jobs of broken queues.
local bad = wrong_type(scheduled, 'zset')
if bad then return bad end
local now = seconds(NOW_MS)
local queues, names, gone, kept, broken = {}, {}, {}, 0, {}

local function queue_of(name)
  local queue = queues[name]
  if not queue then
    local ready = queue_key(name, 'ready')
    queue = { ready = ready, back = {}, front = {}, usable = not wrong_type(ready, 'list') }
    if not queue.usable then broken[#broken + 1] = ready end
    queues[name] = queue
    names[#names + 1] = name
  end
  return queue
end

local due = {}
local function judge(id)
  local h = pcall_('HMGET', job_key(id), 'status', 'queue', 'enqueue_at_front')
  if h[1] ~= 'scheduled' and h[1] ~= 'retry' then
    gone[#gone + 1] = id
    return
  end
  local name = queue_name(h[2])
  local queue = queue_of(name)
  if not queue.usable then
    kept = kept + 1
    return
  end
  local list = h[3] == '1' and queue.front or queue.back
  list[#list + 1] = id
  due[#due + 1] = { id, name, h[1], h[2] ~= name }
end

for page = 0, MAX_PAGES - 1 do
  local ids = call('ZRANGE', scheduled, '-inf', now, 'BYSCORE', 'LIMIT', page * limit, limit)
  for _, id in ipairs(ids) do
    if #due + #gone < limit then judge(id) end
  end
  if #ids < limit or #due + #gone >= limit then break end
end

-- 2. Writes.
if #gone > 0 then in_chunks('ZREM', scheduled, gone) end
if #due > 0 then
  local ids, now_ms = {}, int(NOW_MS)
  for i, item in ipairs(due) do ids[i] = item[1] end
  in_chunks('ZREM', scheduled, ids)
  for _, item in ipairs(due) do
    local id, name = item[1], item[2]
    if item[4] then
      call('HSET', job_key(id), 'status', 'ready', 'ready_at_ms', now_ms, 'queue', name)
    else
      call('HSET', job_key(id), 'status', 'ready', 'ready_at_ms', now_ms)
    end
    changed(id, name, item[3], 'ready')
  end
  for _, name in ipairs(names) do
    local queue = queues[name]
    in_chunks('LPUSH', queue.ready, queue.back)
    local last = {}
    for n = #queue.front, 1, -1 do last[#last + 1] = queue.front[n] end
    in_chunks('RPUSH', queue.ready, last)
  end
end
report('promote')

local ahead = call('ZRANGE', scheduled, '(' .. now, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
local more = #due + #gone > 0 and call('ZCOUNT', scheduled, '-inf', now) > kept
return { #due, #gone, ahead[2] or '', more and 1 or 0, broken, NOW_MS }
