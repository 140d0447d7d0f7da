-- needs: report
-- lib/place: moving one job between the containers.

-- Writes the record of a new job in the state that it begins in; its fields stand in ARGV from `first` on. The caller
-- puts the id into the container of that state. Where this is the first write of a call, a server that is out of memory
-- refuses the whole call.
local function make_job(id, q, state, first)
  call('HSET', job_key(id), 'status', state, 'created_at', TIME[1], unpack(ARGV, first))
  call('SADD', P .. 'queues', q)
  count(q, 'accepted')
  if state ~= 'canceled' then changed(id, q, '', state) end -- else end_unrun tells
end

-- PUSH: into the ready list, at the back, or at the front (tail) when the job asks for it.
local function push_ready(id, q, front)
  call(front and 'RPUSH' or 'LPUSH', queue_key(q, 'ready'), id)
  call('HSET', job_key(id), 'status', 'ready', 'ready_at_ms', int(NOW_MS))
end

-- R of a job in seconds: its own field, else the caller's default, else the servers' setting, else built in.
local ttl_setting = {}
local function ttl_of(field, own, default)
  local r = whole(own) or whole(default)
  if r then return r end
  if ttl_setting[field] == nil then
    local set = pcall_('HGET', P .. 'settings', field)
    ttl_setting[field] = type(set) == 'string' and whole(set) or (field == 'result_ttl' and 604800 or 2592000)
  end
  return ttl_setting[field]
end

-- Removes a job that is not live: its place in the terminal sets of its queue, its hash and its side keys.
local function forget_job(id, q)
  if q then
    for _, set in ipairs({ 'completed', 'dead_letter', 'canceled' }) do
      pcall_('ZREM', queue_key(q, set), id)
    end
  end
  local key = job_key(id)
  call('DEL', key, key .. ':deps', key .. ':pending_deps', key .. ':dependents', key .. ':children', key .. ':attempts')
end

-- RETAIN: true if the job stays (then it belongs into its terminal zset), false if it was deleted at once.
-- `plain` says that the job has neither attempts nor children, which saves their two EXPIRE calls.
local function retain(id, r, plain)
  local key = job_key(id)
  if r > 0 then
    call('EXPIRE', key, r)
    if not plain then
      call('EXPIRE', key .. ':attempts', r)
      call('EXPIRE', key .. ':children', r + 3600)
    end
    return true
  end
  if r < 0 then
    call('PERSIST', key)
    if not plain then
      call('PERSIST', key .. ':attempts')
      call('PERSIST', key .. ':children')
    end
    return true
  end
  call('DEL', key, key .. ':attempts', key .. ':children', key .. ':deps', key .. ':pending_deps')
  return false
end

-- Ends a live job as `to` (canceled or stopped). The caller has taken the id out of its old place and
-- tells its children afterwards.
local function end_unrun(id, q, from, to, reason, own_ttl, default_ttl)
  local key = job_key(id)
  call('HSET', key, 'status', to, 'completed_at', NOW, 'cancel_reason', reason)
  call('DEL', key .. ':deps', key .. ':pending_deps')
  if retain(id, ttl_of('failure_ttl', own_ttl, default_ttl)) then
    pcall_('ZADD', queue_key(q, 'canceled'), NOW, id)
  end
  count(q, 'canceled')
  changed(id, q, from, to)
end
