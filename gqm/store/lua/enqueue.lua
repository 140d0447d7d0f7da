-- needs: family
-- Enqueues one job: ready, scheduled, deferred behind its parents, or canceled because a parent failed.
--
-- KEYS  1 queues  2 job hash  3 ready list of the queue  4 scheduled  5 deferred
-- ARGV  1 prefix  2 mode now|at|in  3 due (unix ms) or delay (ms)  4 unique 0|1  5 front 0|1
--       6 allow_failure 0|1  7 nonce, '' for a generated id  8 number of parents
--       9 default result_ttl, '' = servers' setting  10 default failure_ttl  11 id  12 queue
--       then the parents, then the hash fields and values
-- Returns {'ok', state}            made
--         {'already', state}       made before by this very call (its answer was lost)
--         {'duplicate', state}     another job has the id
--         {'missing_parent', id}   nothing written
--         {'cycle', id}            nothing written: that parent leads back to the job
local queues_key, key, ready_key, scheduled_key, deferred_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local mode, when, unique = ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local front, allow_failure, nonce = ARGV[5] == '1', ARGV[6] == '1', ARGV[7]
local parent_count = tonumber(ARGV[8])
local failure_default, id, q = ARGV[10], ARGV[11], ARGV[12]
local first_field = 13 + parent_count

-- 1. Reads and guards.
local old = call('HMGET', key, 'status', 'nonce', 'queue')
local old_status = old[1]
if old_status and old_status ~= '' then
  if nonce == '' or old[2] == nonce then return { 'already', old_status } end
  if unique or not TERMINAL[old_status] then return { 'duplicate', old_status } end
end
-- An ended job of a custom id, or a stub without status, makes room with all that belonged to it.
local replaces = nonce ~= '' and call('EXISTS', key) == 1

local live_parents, failed_parent = {}, nil
local parents = {}
for i = 1, parent_count do
  local parent = ARGV[12 + i]
  local h = call('HMGET', job_key(parent), 'status', 'created_at', 'depends_on')
  local status = h[1]
  if not status or status == '' then return { 'missing_parent', parent } end
  parents[i] = { id = parent, created_at = h[2], depends_on = h[3] }
  if not TERMINAL[status] then
    live_parents[#live_parents + 1] = parent
  elseif status ~= 'completed' and not allow_failure then
    failed_parent = failed_parent or parent
  end
end

-- A new generated id cannot be anybody's ancestor yet; a custom one can be.
if nonce ~= '' and #live_parents > 0 then
  local seen, stack = {}, {}
  for i, parent in ipairs(live_parents) do
    stack[i] = parent
  end
  while #stack > 0 do
    local node = table.remove(stack)
    if node == id then return { 'cycle', live_parents[1] } end
    if not seen[node] then
      seen[node] = true
      for _, above in ipairs(pcall_('SMEMBERS', job_key(node) .. ':deps')) do
        stack[#stack + 1] = above
      end
    end
  end
end

local bad = wrong_type(queues_key, 'set', ready_key, 'list')
if bad then return bad end
local due = when
if mode == 'in' then due = NOW_MS + when end
local later = mode ~= 'now' and due > NOW_MS
if later then bad = wrong_type(scheduled_key, 'zset') end
if parent_count > 0 then bad = bad or wrong_type(deferred_key, 'set', P .. 'dag:roots', 'zset') end
if bad then return bad end

local state = 'ready'
if later then
  state = 'scheduled'
elseif failed_parent then
  state = 'canceled'
elseif #live_parents > 0 then
  state = 'deferred'
end

-- 2. Writes. The first is an HSET: a server that is out of memory refuses the whole call there.
if replaces then
  call('HSET', key, 'id', id)
  forget_job(id, old[3])
end
call('HSET', key, 'status', state, 'created_at', NOW, unpack(ARGV, first_field))
call('SADD', queues_key, q)

if state == 'ready' then
  call('HSET', key, 'ready_at_ms', int(NOW_MS))
  call(front and 'RPUSH' or 'LPUSH', ready_key, id)
elseif state == 'scheduled' then
  call('HSET', key, 'scheduled_at', int(math.floor(due / 1000)))
  call('ZADD', scheduled_key, seconds(due), id)
  if call('ZRANGE', scheduled_key, 0, 0)[1] == id then
    control('{"op":"due","at":' .. seconds(due) .. '}')
  end
end

if parent_count > 0 then
  local all = {}
  for i, parent in ipairs(parents) do
    all[i] = parent.id
    local children = job_key(parent.id) .. ':children'
    call('SADD', children, id)
    local ttl = call('TTL', job_key(parent.id))
    if ttl >= 0 then call('EXPIRE', children, ttl + 3600) end
    -- A root has no parent that is still kept.
    local above = {}
    if parent.depends_on then
      local ok, list = pcall(cjson.decode, parent.depends_on)
      if ok and type(list) == 'table' then
        for _, grandparent in ipairs(list) do
          if type(grandparent) == 'string' then above[#above + 1] = job_key(grandparent) end
        end
      end
    end
    if #above == 0 or call('EXISTS', unpack(above)) == 0 then
      call('ZADD', P .. 'dag:roots', 'NX', whole(parent.created_at, NOW), parent.id)
    end
  end
  if state == 'deferred' then
    call('SADD', key .. ':deps', unpack(all))
    call('SADD', key .. ':pending_deps', unpack(live_parents))
    for _, parent in ipairs(live_parents) do
      call('SADD', job_key(parent) .. ':dependents', id)
    end
    call('SADD', deferred_key, id)
  elseif state == 'canceled' then
    local h = call('HMGET', key, 'failure_ttl')
    end_unrun(id, q, '', 'canceled', 'parent failed: ' .. failed_parent, h[1], failure_default)
  end
end

count(q, 'accepted')
if state ~= 'canceled' then changed(id, q, '', state) end
report('enqueue')
return { 'ok', state }
