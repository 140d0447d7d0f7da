-- needs: base
-- Weighs the ledgers of queues against the live jobs that there are, at one instant. Changes nothing.
--
-- KEYS  1 scheduled  2 deferred  3 queues
-- ARGV  1 prefix  2 most waiting jobs to look at  then the queue names
-- Waiting jobs of all queues share two containers: if there are too many of them nothing is weighed.
-- Returns {weighed 0|1, per queue {listed 0|1, has keys 0|1, came, went, live}}
--   came  accepted + requeued, -1 = the queue has no ledger   went  processed + dead + canceled + deleted
local scheduled, deferred, queues_key, most = KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[2])

local function size_of(command, key)
  local n = pcall_(command, key)
  return type(n) == 'number' and n or 0
end

local waiting = {}
local weighed = size_of('ZCARD', scheduled) + size_of('SCARD', deferred) <= most
local function count_waiting(ids)
  if ids.err then return end
  for _, id in ipairs(ids) do
    local h = pcall_('HMGET', job_key(id), 'status', 'queue')
    if h[1] == 'scheduled' or h[1] == 'retry' or h[1] == 'deferred' then
      local q = queue_name(h[2])
      waiting[q] = (waiting[q] or 0) + 1
    end
  end
end
if weighed then
  count_waiting(pcall_('ZRANGE', scheduled, 0, -1))
  count_waiting(pcall_('SMEMBERS', deferred))
end

local rows = {}
for i = 3, #ARGV do
  local q = ARGV[i]
  local ready, processing = queue_key(q, 'ready'), queue_key(q, 'processing')
  local keys = call('EXISTS', ready, processing, queue_key(q, 'completed'), queue_key(q, 'dead_letter'),
    queue_key(q, 'canceled'))
  local h = pcall_('HMGET', P .. 'stats:' .. q .. ':ledger', 'accepted', 'requeued', 'processed', 'dead', 'canceled',
    'deleted')
  local came, went = -1, 0
  if not h.err and (h[1] or h[2]) then
    came = whole(h[1], 0) + whole(h[2], 0)
    for n = 3, 6 do went = went + whole(h[n], 0) end
  end
  local live = size_of('LLEN', ready) + size_of('ZCARD', processing) + (waiting[q] or 0)
  local listed = pcall_('SISMEMBER', queues_key, q)
  rows[#rows + 1] = { listed == 0 and 0 or 1, keys > 0 and 1 or 0, came, went, live }
end
return { weighed and 1 or 0, rows }
