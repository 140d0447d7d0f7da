-- needs: report
-- Claims up to n ready jobs for one pool of one server.
--
-- KEYS  1 paused  2 claims hash of the server  then per queue: ready list, processing zset
-- ARGV  1 prefix  2 worker id  3 nonce of this call  4 n (1..128)  5 turns: queue indexes, comma separated, '' = all 1
--       6 wrap 0|1  7 global time-out ms  8 pool time-out ms, 0 = none  9 grace ms  10 pool retry budget
--       11 replay 0|1 (the answer of a call with this nonce was lost)  12 number of queues
--       then per queue: name, type rule ('' any type, '+' only, '-' all but), number of types, types
-- Turn i tries queue turns[i] first, then the others: in list order, or in cyclic order with wrap.
-- Ids without a ready job are taken out and counted. Ids of other types go back to where they were.
-- Returns {jobs, skipped ids (10 at most), skipped count, paused queues, more 0|1, passed queues, broken keys,
--   server time in unix ms}
--   job     {id, token, budget, time-out ms, attempt, field, value, …} as stored before the claim
--   passed  queues that hold only jobs of other types within reach (256)
--   broken  keys of a wrong type; their queues are left out
local paused_key, claims_key = KEYS[1], KEYS[2]
local worker, nonce, wanted = ARGV[2], ARGV[3], tonumber(ARGV[4])
local wrap, global_ms, pool_ms, grace_ms = ARGV[6] == '1', tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local pool_budget, replay, queue_count = ARGV[10], ARGV[11] == '1', tonumber(ARGV[12])
local MAX_SKIPS, MAX_PASSED, MAX_BYTES = 1000, 256, 8388608

local jobs, tokens = {}, 0

-- 1. A lost answer: what this nonce holds already is the answer.
if replay then
  local held = call('HGETALL', claims_key)
  for i = 1, #held, 2 do
    local token, budget = string.match(held[i + 1], '^(' .. nonce .. '%.%d+)|(%d+)|')
    if token then
      local fields = call('HGETALL', job_key(held[i]))
      local h = {}
      for f = 1, #fields, 2 do h[fields[f]] = fields[f + 1] end
      if h.claim == token and h.status == 'processing' then
        local own = whole(h.timeout, 0)
        local limit = own > 0 and own * 1000 or pool_ms > 0 and pool_ms or global_ms
        jobs[#jobs + 1] = { held[i], token, budget, limit, whole(h.attempt, 1), unpack(fields) }
      end
    end
  end
  if #jobs > 0 then
    table.sort(jobs, function(a, b)
      return tonumber(string.match(a[2], '%d+$')) < tonumber(string.match(b[2], '%d+$'))
    end)
    return { jobs, {}, 0, {}, 0, {}, {}, NOW_MS }
  end
end

-- 2. Reads and guards: which queues may be claimed from.
local queues, paused_names, broken = {}, {}, {}
local bad = wrong_type(claims_key, 'hash')
if bad then return bad end
local at = 13
for i = 1, queue_count do
  local rule, types = ARGV[at + 1], tonumber(ARGV[at + 2])
  local queue = { name = ARGV[at], rule = rule, ready = KEYS[1 + 2 * i], processing = KEYS[2 + 2 * i],
    back = {}, deadlines = {}, open = true }
  if rule ~= '' then
    queue.types = {}
    for t = 1, types do queue.types[ARGV[at + 2 + t]] = true end
  end
  at = at + 3 + types
  local length = pcall_('LLEN', queue.ready)
  if type(length) == 'table' then
    broken[#broken + 1] = queue.ready
    queue.open = false
  elseif length == 0 then
    queue.open = false
  elseif wrong_type(queue.processing, 'zset') then
    broken[#broken + 1] = queue.processing
    queue.open = false
  end
  queues[i] = queue
end
for i = 1, queue_count do
  if call('SISMEMBER', paused_key, queues[i].name) == 1 then
    paused_names[#paused_names + 1] = queues[i].name
    queues[i].open = false
  end
end

-- 3. Claims.
local skipped, skip_count, passed, bytes, stop = {}, 0, 0, 0, false
local wait_ms = {}

local function take(queue, id)
  local key = job_key(id)
  local fields = pcall_('HGETALL', key)
  local h = {}
  for f = 1, #fields, 2 do
    h[fields[f]] = fields[f + 1]
    bytes = bytes + #fields[f + 1]
  end
  if h.status ~= 'ready' then
    skip_count = skip_count + 1
    if #skipped < 10 then skipped[#skipped + 1] = id end
    count(queue.name, 'skipped')
    return
  end
  if queue.types and (queue.types[h.type] == nil) == (queue.rule == '+') then
    queue.back[#queue.back + 1] = id
    passed = passed + 1
    queue.passed = true
    return
  end
  local own = whole(h.timeout, 0)
  local limit = own > 0 and own * 1000 or pool_ms > 0 and pool_ms or global_ms
  local budget = pool_budget
  local max_retry = whole(h.max_retry)
  if max_retry and (max_retry ~= 3 or h.max_retry_set == '1') then budget = int(math.max(max_retry, 0)) end
  local attempt = whole(h.attempt, 0) + 1
  local since = whole(h.ready_at_ms) or whole(h.created_at, NOW) * 1000
  local wait = math.max(0, NOW_MS - since)
  tokens = tokens + 1
  local token = nonce .. '.' .. tokens
  call('HSET', key, 'status', 'processing', 'started_at', NOW, 'worker_id', worker, 'claim', token,
    'attempt', attempt, 'wait_ms', int(wait))
  if h.queue ~= queue.name then call('HSET', key, 'queue', queue.name) end
  call('HSET', claims_key, id, token .. '|' .. budget .. '|' .. int(NOW_MS) .. '|' .. queue.name)
  local d = queue.deadlines
  d[#d + 1] = seconds(NOW_MS + limit + math.max(0, grace_ms - 10000))
  d[#d + 1] = id
  queue.claimed = (queue.claimed or 0) + 1
  wait_ms[queue.name] = (wait_ms[queue.name] or 0) + wait
  changed(id, queue.name, 'ready', 'processing')
  jobs[#jobs + 1] = { id, token, budget, limit, attempt, unpack(fields) }
end

-- Takes up to `want` jobs from a queue; a limit reached puts the rest of a popped run back in place.
local function drain(queue, want)
  while want > 0 and queue.open and not stop do
    local run = call('RPOP', queue.ready, want)
    if not run then
      queue.open = false
      break
    end
    if #run < want then queue.open = false end
    local before = #jobs
    for i, id in ipairs(run) do
      if stop then
        queue.back[#queue.back + 1] = id
      else
        take(queue, id)
        if skip_count >= MAX_SKIPS or passed >= MAX_PASSED or bytes > MAX_BYTES then
          stop = true
          queue.open = true
        end
      end
    end
    want = want - (#jobs - before)
  end
end

local function drain_from(first, want)
  local goal = #jobs + want
  drain(queues[first], want)
  for step = 1, queue_count - 1 do
    local i = wrap and (first - 1 + step) % queue_count + 1 or (step >= first and step + 1 or step)
    if #jobs >= goal or stop then return end
    drain(queues[i], goal - #jobs)
  end
end

if ARGV[5] == '' then
  drain_from(1, wanted)
else
  -- Equal turns in a row are one run: one RPOP instead of many.
  local run_of, length = nil, 0
  for turn in string.gmatch(ARGV[5] .. ',', '(%d+),') do
    if turn ~= run_of and run_of then
      drain_from(tonumber(run_of), length)
      length = 0
    end
    run_of = turn
    length = length + 1
  end
  if run_of then drain_from(tonumber(run_of), length) end
end

local passed_names, more = {}, 0
for i = 1, queue_count do
  local queue = queues[i]
  if #queue.back > 0 then
    local order = {}
    for n = #queue.back, 1, -1 do order[#order + 1] = queue.back[n] end
    in_chunks('RPUSH', queue.ready, order)
  end
  if queue.claimed then
    in_chunks('ZADD', queue.processing, queue.deadlines)
    count(queue.name, 'claimed', queue.claimed)
    count(queue.name, 'wait_ms', wait_ms[queue.name])
  elseif queue.passed then
    passed_names[#passed_names + 1] = queue.name
  end
  if queue.open then more = 1 end
end
if stop and #jobs == 0 and passed >= MAX_PASSED then more = 0 end
report('claim')
return { jobs, skipped, skip_count, paused_names, more, passed_names, broken, NOW_MS }
