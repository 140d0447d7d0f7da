-- needs: family
-- lib/settle: what complete, retry, dead_letter and return share.

-- Which items their caller still holds. items: list of {id=, token=, worker=, h=} with h = HMGET reply whose
-- first values are status, claim, worker_id and, if it was asked for, settled. Sets item.answer to 1 (held),
-- 2 (this very settle was done before) or 0 (somebody else's job by now). Returns the held items.
local function judge(items, processing, script)
  local held = {}
  if #items == 0 then return held end
  local ids = {}
  for i, item in ipairs(items) do ids[i] = item.id end
  local scores = call('ZMSCORE', processing, unpack(ids))
  local seen = {}
  for i, item in ipairs(items) do
    local h = item.h
    if scores[i] and h[1] == 'processing' and h[2] == item.token and h[3] == item.worker and not seen[item.id] then
      item.answer = 1
      seen[item.id] = true
      held[#held + 1] = item
    else
      local settled = h[4]
      if settled == nil then settled = pcall_('HGET', job_key(item.id), 'settled') end
      item.answer = settled == item.token .. '/' .. script and 2 or 0
    end
  end
  return held
end

-- DROP for many at once: out of processing and out of their owners' claims. A claims key of a wrong type must
-- not stop a script half way.
local function drop(held, processing)
  local ids, by_claims = {}, {}
  for i, item in ipairs(held) do
    ids[i] = item.id
    local key = claims_of(item.worker)
    local list = by_claims[key]
    if not list then
      list = {}
      by_claims[key] = list
    end
    list[#list + 1] = item.id
  end
  if #ids > 0 then in_chunks('ZREM', processing, ids) end
  for key, list in pairs(by_claims) do
    for from = 1, #list, 1000 do pcall_('HDEL', key, unpack(list, from, math.min(from + 999, #list))) end
  end
end

-- Hands held items of one queue back to its front, in claim order and uncounted; item.started tells whether
-- the handler had begun.
local function hand_back(held, q, processing, ready)
  drop(held, processing)
  local order = {}
  for n = #held, 1, -1 do
    local item = held[n]
    local key = job_key(item.id)
    call('HSET', key, 'status', 'ready', 'ready_at_ms', int(NOW_MS), 'settled', item.token .. '/return')
    if item.started then
      call('HDEL', key, 'claim', 'worker_id')
    else
      call('HDEL', key, 'claim', 'worker_id', 'started_at')
      call('HINCRBY', key, 'attempt', -1)
    end
    order[#order + 1] = item.id
    changed(item.id, q, 'processing', 'ready')
  end
  in_chunks('RPUSH', ready, order)
end

local function answers(items)
  local out = {}
  for i, item in ipairs(items) do out[i] = item.answer end
  return out
end

-- Puts an ended attempt in front of the job's attempts list. `entry` is the caller's JSON object; the times
-- are added here because they are the server's.
local function add_attempt(id, entry, started_at)
  if entry == '' then return end
  local key = job_key(id) .. ':attempts'
  local length = pcall_('LPUSH', key, string.sub(entry, 1, -2) .. ',"started_at":' .. int(whole(started_at, 0))
    .. ',"ended_at":' .. seconds(NOW_MS) .. '}')
  if type(length) == 'number' and length > 20 then call('LTRIM', key, 0, 19) end
end

-- Ends held items in the dead-letter set and tells their children. items: {id, token, worker, ms, error,
-- traceback, entry, h} with h[5] = failure_ttl, h[6] = started_at; ms and traceback may be ''. token is nil
-- when not the holder ends the job: the holder's own settle must not take that for its doing.
local function bury(held, q, dead_letter_key, default_ttl)
  local dead, parents = {}, {}
  for _, item in ipairs(held) do
    local key = job_key(item.id)
    local fields = { 'status', 'dead_letter', 'completed_at', NOW, 'error', item.error }
    if item.token then
      fields[#fields + 1] = 'settled'
      fields[#fields + 1] = item.token .. '/dead_letter'
    end
    if item.ms ~= '' then
      fields[#fields + 1] = 'execution_duration'
      fields[#fields + 1] = item.ms
      count(q, 'run_ms', whole(item.ms, 0))
    end
    if item.traceback ~= '' then
      fields[#fields + 1] = 'traceback'
      fields[#fields + 1] = item.traceback
      call('HDEL', key, 'claim')
    else
      call('HDEL', key, 'claim', 'traceback')
    end
    call('HSET', key, unpack(fields))
    add_attempt(item.id, item.entry, item.h[6])
    if retain(item.id, ttl_of('failure_ttl', item.h[5], default_ttl)) then
      dead[#dead + 1] = NOW
      dead[#dead + 1] = item.id
    end
    parents[#parents + 1] = { item.id, false }
    changed(item.id, q, 'processing', 'dead_letter')
  end
  if #dead > 0 then in_chunks('ZADD', dead_letter_key, dead) end
  count(q, 'dead', #held)
  return tell_children(parents, default_ttl)
end
