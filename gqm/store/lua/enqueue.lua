-- needs: family lineage
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
local bad = wrong_type(key, 'hash')
if bad then return bad end
local old = call('HMGET', key, 'status', 'nonce', 'queue')
local old_status = old[1]
if old_status and old_status ~= '' then
  if nonce == '' or old[2] == nonce then return { 'already', old_status } end
  if unique or not TERMINAL[old_status] then return { 'duplicate', old_status } end
end
-- An ended job of a custom id, or a stub without status, makes room with all that belonged to it.
local replaces = call('EXISTS', key) == 1

-- A root of the graph is a parent none of whose own parents is still kept.
local function is_root(depends_on)
  local above = parents_of(depends_on)
  for n, grandparent in ipairs(above) do above[n] = job_key(grandparent) end
  for from = 1, #above, 1000 do
    if call('EXISTS', unpack(above, from, math.min(from + 999, #above))) > 0 then return false end
  end
  return true
end

local live_parents, failed_parent = {}, nil
local parents = {}
for i = 1, parent_count do
  local parent = ARGV[12 + i]
  local h = pcall_('HMGET', job_key(parent), 'status', 'created_at', 'depends_on')
  local status = h[1]
  if not status or status == '' then return { 'missing_parent', parent } end
  parents[i] = { id = parent, created_at = h[2], root = is_root(h[3]), ttl = call('TTL', job_key(parent)) }
  if not TERMINAL[status] then
    live_parents[#live_parents + 1] = parent
  elseif status ~= 'completed' and not allow_failure then
    failed_parent = failed_parent or parent
  end
end

-- The live parent by which a walk upwards comes to the new job itself; each node is visited once.
local function cycle()
  local from, stack = {}, {}
  for i, parent in ipairs(live_parents) do
    from[parent] = parent
    stack[i] = parent
  end
  while #stack > 0 do
    local node = table.remove(stack)
    if node == id then return from[node] end
    for _, above in ipairs(pcall_('SMEMBERS', job_key(node) .. ':deps')) do
      if not from[above] then
        from[above] = from[node]
        stack[#stack + 1] = above
      end
    end
  end
  return nil
end

-- A new generated id cannot be anybody's ancestor yet; a custom one can be.
if nonce ~= '' and #live_parents > 0 then
  local through = cycle()
  if through then return { 'cycle', through } end
end

local due = mode == 'in' and NOW_MS + when or when
local state = 'ready'
if mode ~= 'now' and due > NOW_MS then
  state = 'scheduled'
elseif failed_parent then
  state = 'canceled'
elseif #live_parents > 0 then
  state = 'deferred'
end

bad = wrong_type(queues_key, 'set', ready_key, 'list', scheduled_key, 'zset')
if parent_count > 0 then
  bad = bad or wrong_type(deferred_key, 'set', P .. 'dag:roots', 'zset', queue_key(q, 'canceled'), 'zset')
end
for i = 1, parent_count do
  local parent = job_key(parents[i].id)
  bad = bad or wrong_type(parent .. ':children', 'set', parent .. ':dependents', 'set')
end
if bad then return bad end

-- 2. Writes. The first is an HSET: a server that is out of memory refuses the whole call there.
if replaces then
  call('HSET', key, 'id', id)
  forget_job(id, old[3])
  pcall_('ZREM', P .. 'dag:roots', id)
end
make_job(id, q, state, first_field)
if mode ~= 'now' then call('HSET', key, 'scheduled_at', int(math.floor(due / 1000))) end

-- Makes the job known to all its parents.
local function join_parents()
  local all = {}
  for i, parent in ipairs(parents) do
    all[i] = parent.id
    local children = job_key(parent.id) .. ':children'
    call('SADD', children, id)
    if parent.ttl >= 0 then call('EXPIRE', children, parent.ttl + 3600) end
    if parent.root then call('ZADD', P .. 'dag:roots', 'NX', whole(parent.created_at, NOW), parent.id) end
  end
  return all
end

local all_parents = parent_count > 0 and join_parents() or {}
if state == 'ready' then
  push_ready(id, q, front)
elseif state == 'scheduled' then
  call('ZADD', scheduled_key, seconds(due), id)
  if call('ZRANGE', scheduled_key, 0, 0)[1] == id then control('{"op":"due","at":' .. seconds(due) .. '}') end
elseif state == 'deferred' then
  call('SADD', key .. ':deps', unpack(all_parents))
  call('SADD', key .. ':pending_deps', unpack(live_parents))
  for _, parent in ipairs(live_parents) do call('SADD', job_key(parent) .. ':dependents', id) end
  call('SADD', deferred_key, id)
else
  local own_ttl = call('HGET', key, 'failure_ttl')
  end_unrun(id, q, '', 'canceled', 'parent failed: ' .. failed_parent, own_ttl, failure_default)
end

report('enqueue')
return { 'ok', state }
