-- needs: base
-- Reads sizes and counters of queues. Changes nothing.
--
-- KEYS  1 paused
-- ARGV  1 prefix  then the names of up to 100 queues
-- Returns {server time in unix ms, rows}; a key of a wrong type reads as 0 or false
--   row  {paused 0|1, ready, processing, completed, dead_letter, canceled, processed_total, failed_total,
--         since when the next job is ready in unix ms or false,
--         {processed, failed, claimed, wait_ms, run_ms of the last full minute}}
local LOOKED_AT = 10 -- ids at the front of a queue; those in front may have no ready job behind them
local last_minute = int(math.floor(NOW / 60) - 1)

local function number(value) return type(value) == 'number' and value or 0 end

local function counter(key)
  local value = pcall_('GET', key)
  return type(value) == 'string' and whole(value, 0) or 0
end

local function ready_since(ready)
  local ids = pcall_('LRANGE', ready, -LOOKED_AT, -1)
  for i = #ids, 1, -1 do
    local h = pcall_('HMGET', job_key(ids[i]), 'status', 'ready_at_ms', 'created_at')
    if h[1] == 'ready' then return int(whole(h[2]) or whole(h[3], NOW) * 1000) end
  end
  return false
end

local rows = {}
for i = 2, #ARGV do
  local q = ARGV[i]
  local stats = P .. 'stats:' .. q
  local minute = pcall_('HMGET', stats .. ':minute:' .. last_minute, 'processed', 'failed', 'claimed', 'wait_ms',
    'run_ms')
  rows[#rows + 1] = {
    number(pcall_('SISMEMBER', KEYS[1], q)),
    number(pcall_('LLEN', queue_key(q, 'ready'))),
    number(pcall_('ZCARD', queue_key(q, 'processing'))),
    number(pcall_('ZCARD', queue_key(q, 'completed'))),
    number(pcall_('ZCARD', queue_key(q, 'dead_letter'))),
    number(pcall_('ZCARD', queue_key(q, 'canceled'))),
    counter(stats .. ':processed_total'),
    counter(stats .. ':failed_total'),
    ready_since(queue_key(q, 'ready')),
    minute.err and {} or minute,
  }
end
return { NOW_MS, rows }
