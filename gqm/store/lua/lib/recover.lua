-- needs: settle claims
-- lib/recover: jobs whose worker is lost run again, or end, as their budget says.

local broken, broken_seen = {}, {}
-- Whether a queue's containers can take what recovery writes; the first key that cannot is noted in `broken`.
local function recoverable(q)
  if broken_seen[q] == nil then
    broken_seen[q] = false
    for part, kind in pairs({ ready = 'list', processing = 'zset', dead_letter = 'zset' }) do
      local key = queue_key(q, part)
      if wrong_type(key, kind) then
        broken_seen[q] = true
        broken[#broken + 1] = key
      end
    end
  end
  return not broken_seen[q]
end

-- The fields that recovery judges by: places 1, 3, 5 and 6 are those that lib/settle counts on.
local function lost_job(id)
  return pcall_('HMGET', job_key(id), 'status', 'claim', 'worker_id', 'settled', 'failure_ttl', 'started_at',
    'retry_count', 'attempt', 'max_retry')
end

local function attempt_entry(item, text)
  local since_ms = item.ms or whole(item.h[6], NOW) * 1000
  return '{"attempt":' .. int(whole(item.h[8], item.count)) .. ',"outcome":"recovered","counted":true'
    .. ',"duration_ms":' .. int(math.max(0, NOW_MS - since_ms))
    .. ',"worker_id":' .. cjson.encode(item.worker or '') .. ',"error":' .. cjson.encode(text) .. '}'
end

local function recover_queue(q, items, text, failure_default)
  drop(items, queue_key(q, 'processing'))
  local front, buried = {}, {}
  for n = #items, 1, -1 do
    local item = items[n]
    item.count = whole(item.h[7], 0) + 1
    item.entry = attempt_entry(item, text)
    if item.count <= item.budget then
      local key = job_key(item.id)
      call('HSET', key, 'status', 'ready', 'ready_at_ms', int(NOW_MS), 'retry_count', item.count, 'error', text)
      call('HDEL', key, 'claim', 'traceback')
      add_attempt(item.id, item.entry, item.h[6])
      front[#front + 1] = item.id
      changed(item.id, q, 'processing', 'ready')
    else
      item.token, item.ms, item.error, item.traceback = nil, '', text, ''
      buried[#buried + 1] = item
    end
  end
  if #front > 0 then in_chunks('RPUSH', queue_key(q, 'ready'), front) end
  if #buried > 0 then bury(buried, q, queue_key(q, 'dead_letter'), failure_default) end
  return #front, #buried
end

-- Takes jobs from their lost workers. items, in claim order: {id, q, worker, budget, ms (claim time or nil),
-- h = lost_job(id)}, only of queues that are recoverable(). Returns the numbers of jobs that are ready again
-- (in front, the first claimed next) and of those whose budget was spent: dead letters, their children told.
local function recover(items, text, failure_default)
  local queues, by_queue = {}, {}
  for _, item in ipairs(items) do
    if not by_queue[item.q] then
      by_queue[item.q] = {}
      queues[#queues + 1] = item.q
    end
    table.insert(by_queue[item.q], item)
  end
  local again, dead = 0, 0
  for _, q in ipairs(queues) do
    local a, d = recover_queue(q, by_queue[q], text, failure_default)
    again, dead = again + a, dead + d
  end
  return again, dead
end

-- What a server left in its claims hash: the items to recover in claim order, and the ids of records that no
-- job stands behind any more. Claims of queues that cannot be recovered stay out of both.
local function left_claims(claims_key, server)
  local records, left, stale = call('HGETALL', claims_key), {}, {}
  for i = 1, #records, 2 do
    local id, item = records[i], read_claim(records[i + 1])
    local h = lost_job(id)
    if not item or h[1] ~= 'processing' or h[2] ~= item.token
        or string.match(h[3] or '', '@([^@]*)$') ~= server then
      stale[#stale + 1] = id
    elseif recoverable(item.q) then
      item.id, item.h, item.worker = id, h, h[3]
      left[#left + 1] = item
    end
  end
  table.sort(left, claimed_before)
  return left, stale
end
