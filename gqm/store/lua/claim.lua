-- needs: report claims
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
--   job     {id, token, budget, time-out ms, attempt, queue, {field, value, …} as stored before the claim}
--   passed  queues that hold only jobs of other types within reach (256)
--   broken  keys of a wrong type; their queues are left out
-- Numbers that go into commands are texts where they can be: Redis prints each number with 17 digits.
local paused_key, claims_key = KEYS[1], KEYS[2]
local worker, nonce, wanted = ARGV[2], ARGV[3], tonumber(ARGV[4])
local wrap, global_ms, pool_ms, grace_ms = ARGV[6] == '1', tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local pool_budget, replay, queue_count = ARGV[10], ARGV[11] == '1', tonumber(ARGV[12])
local MAX_SKIPS, MAX_PASSED, MAX_BYTES = 1000, 256, 8388608
local default_limit = pool_ms > 0 and pool_ms or global_ms
local extra_grace = math.max(0, grace_ms - 10000)

local bad = wrong_type(paused_key, 'set', claims_key, 'hash')
if bad then return bad end

local function limit_of(timeout)
  local own = timeout and whole(timeout, 0) or 0
  return own > 0 and own * 1000 or default_limit
end

-- The fields of a hash that a claim looks at. The constructor makes room for all of them at once.
local function known_fields(fields)
  local h = { status = false, type = false, queue = false, timeout = false, max_retry = false, max_retry_set = false,
    attempt = false, ready_at_ms = false, created_at = false, claim = false }
  for f = 1, #fields, 2 do
    if h[fields[f]] ~= nil then h[fields[f]] = fields[f + 1] end
  end
  return h
end

-- 1. A lost answer: what this nonce holds already is the answer.
if replay then
  local held, jobs = call('HGETALL', claims_key), {}
  for i = 1, #held, 2 do
    local record = read_claim(held[i + 1])
    if record and string.match(record.token, '^(.*)%.%d+$') == nonce then
      local fields = pcall_('HGETALL', job_key(held[i]))
      local h = known_fields(fields)
      if h.claim == record.token and h.status == 'processing' then
        jobs[#jobs + 1] = { held[i], record.token, record.budget, limit_of(h.timeout), whole(h.attempt, 1),
          record.q, fields }
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

-- 2. Which queues may be claimed from.
local queues, paused_names, broken = {}, {}, {}
local at = 13
for i = 1, queue_count do
  local rule, types = ARGV[at + 1], tonumber(ARGV[at + 2])
  local queue = { name = ARGV[at], ready = KEYS[1 + 2 * i], processing = KEYS[2 + 2 * i], back = {}, deadlines = {},
    open = true, claimed = 0, skipped = 0, wait_ms = 0 }
  if rule ~= '' then
    queue.only, queue.types = rule == '+', {}
    for t = 1, types do queue.types[ARGV[at + 2 + t]] = true end
  end
  at = at + 3 + types
  queues[i] = queue
  local length = pcall_('LLEN', queue.ready)
  if call('SISMEMBER', paused_key, queue.name) == 1 then
    paused_names[#paused_names + 1] = queue.name
    queue.open = false
  elseif type(length) == 'table' then
    broken[#broken + 1] = queue.ready
    queue.open = false
  elseif length == 0 then
    queue.open = false
  elseif wrong_type(queue.processing, 'zset') then
    broken[#broken + 1] = queue.processing
    queue.open = false
  end
end

-- 3. Claims.
local jobs, records, skipped = {}, {}, {}
local skip_count, passed, bytes, stop = 0, 0, 0, false
local now_s, now_ms = TIME[1], int(NOW_MS)
local due_of = {} -- deadline by time-out

local function skip(queue, id)
  queue.skipped = queue.skipped + 1
  skip_count = skip_count + 1
  if skip_count <= 10 then skipped[skip_count] = id end
  stop = skip_count >= MAX_SKIPS
end

-- Whether the pool takes the job by its type. Only the two fields are read: what is passed over may be large.
local function is_ours(queue, key)
  local h = pcall_('HMGET', key, 'status', 'type')
  return h[1] ~= 'ready' or (queue.types[h[2]] ~= nil) == queue.only
end

local function budget_of(h)
  if not h.max_retry or h.max_retry == '' or h.max_retry == '3' and h.max_retry_set ~= '1' then return pool_budget end
  return int(math.max(whole(h.max_retry, 0), 0))
end

local function take(queue, id)
  local key = job_key(id)
  if queue.types and not is_ours(queue, key) then
    queue.back[#queue.back + 1] = id
    queue.passed = true
    passed = passed + 1
    -- What lies behind is out of reach in this call, and so in the next: the queue is done.
    if passed >= MAX_PASSED then queue.open, queue.blocked = false, true end
    return
  end
  local fields = pcall_('HGETALL', key)
  local h = known_fields(fields)
  if h.status ~= 'ready' then return skip(queue, id) end
  for f = 2, #fields, 2 do bytes = bytes + #fields[f] end

  local name, n = queue.name, #jobs + 1
  local limit, budget = limit_of(h.timeout), budget_of(h)
  local attempt = h.attempt and whole(h.attempt, 0) + 1 or 1
  local wait = math.max(0, NOW_MS - (whole(h.ready_at_ms) or whole(h.created_at, NOW) * 1000))
  local token = nonce .. '.' .. n
  if h.queue ~= name then call('HSET', key, 'queue', name) end
  call('HSET', key, 'status', 'processing', 'started_at', now_s, 'worker_id', worker, 'claim', token,
    'attempt', attempt == 1 and '1' or int(attempt), 'wait_ms', int(wait))
  records[2 * n - 1], records[2 * n] = id, token .. '|' .. budget .. '|' .. now_ms .. '|' .. name
  local due = due_of[limit]
  if not due then
    due = seconds(NOW_MS + limit + extra_grace)
    due_of[limit] = due
  end
  local d = queue.deadlines
  d[#d + 1] = due
  d[#d + 1] = id
  queue.claimed = queue.claimed + 1
  queue.wait_ms = queue.wait_ms + wait
  changed(id, name, 'ready', 'processing')
  jobs[n] = { id, token, budget, limit, attempt, name, fields }
  stop = bytes > MAX_BYTES
end

-- Takes up to `want` jobs from a queue; a limit reached puts the rest of a popped run back in place.
local function drain(queue, want)
  local goal = #jobs + want
  while #jobs < goal and queue.open and not stop do
    local run = call('RPOP', queue.ready, goal - #jobs)
    if not run then
      queue.open = false
      return
    end
    if #run < goal - #jobs then queue.open = false end
    for _, id in ipairs(run) do
      if stop or queue.blocked then
        queue.back[#queue.back + 1] = id
        queue.open = stop
      else
        take(queue, id)
      end
    end
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
  for turn in string.gmatch(ARGV[5], '%d+') do
    if turn ~= run_of and run_of then
      drain_from(tonumber(run_of), length)
      length = 0
    end
    run_of = turn
    length = length + 1
  end
  if run_of then drain_from(tonumber(run_of), length) end
end

if #records > 0 then in_chunks('HSET', claims_key, records) end
local passed_names, more = {}, 0
for i = 1, queue_count do
  local queue = queues[i]
  if #queue.back > 0 then
    local order = {}
    for n = #queue.back, 1, -1 do order[#order + 1] = queue.back[n] end
    in_chunks('RPUSH', queue.ready, order)
  end
  if queue.skipped > 0 then count(queue.name, 'skipped', queue.skipped) end
  if queue.claimed > 0 then
    in_chunks('ZADD', queue.processing, queue.deadlines)
    count(queue.name, 'claimed', queue.claimed)
    count(queue.name, 'wait_ms', queue.wait_ms)
  elseif queue.passed then
    passed_names[#passed_names + 1] = queue.name
  end
  if queue.open then more = 1 end
end
report('claim')
return { jobs, skipped, skip_count, paused_names, more, passed_names, broken, NOW_MS }
