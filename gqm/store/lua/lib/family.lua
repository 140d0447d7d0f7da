-- needs: place
-- lib/family: what the end of a parent means for its children (DAG).

local ready_usable = {}
-- Whether jobs can be pushed into the queue; a ready list of a wrong type must not stop a walk half way.
local function can_push(q)
  if ready_usable[q] == nil then ready_usable[q] = not wrong_type(queue_key(q, 'ready'), 'list') end
  return ready_usable[q]
end

-- The last thing that a deferred child waited for is gone: it may run.
local function release(child, q, front)
  call('SREM', P .. 'deferred', child)
  call('DEL', job_key(child) .. ':deps', job_key(child) .. ':pending_deps')
  push_ready(child, q, front)
  changed(child, q, 'deferred', 'ready')
end

-- One child hears that a parent ended. It goes to ready if it waits for nothing more; without allow_failure
-- a failed parent cancels it, with `reason`. A child whose pending set does not hold the parent is left alone,
-- and so is one whose queue cannot take it (dag_sweep judges both). Reads use pcall: a key of a wrong type,
-- written by somebody else, must not stop the walk half way.
-- Returns 'ready', 'canceled' or nil.
local function tell_child(child, parent, ok, reason, failure_default)
  local key = job_key(child)
  local pending = key .. ':pending_deps'
  local h = pcall_('HMGET', key, 'status', 'queue', 'allow_failure', 'enqueue_at_front', 'failure_ttl')
  if h[1] ~= 'deferred' or pcall_('SISMEMBER', pending, parent) ~= 1 then return nil end
  local q = queue_name(h[2])
  if not ok and h[3] ~= '1' then
    call('SREM', P .. 'deferred', child)
    end_unrun(child, q, 'deferred', 'canceled', reason, h[5], failure_default)
    return 'canceled'
  end
  if call('SCARD', pending) > 1 then
    call('SREM', pending, parent)
  elseif can_push(q) then
    release(child, q, h[4] == '1')
    return 'ready'
  end
  return nil
end

-- Tells the children of every ended parent, then theirs, until nothing is left: iterative, one script.
-- parents: list of {id, ok}. Returns the numbers of released and canceled children.
local function tell_children(parents, failure_default)
  local released, canceled, i = 0, 0, 1
  while parents[i] do
    local parent, ok = parents[i][1], parents[i][2]
    i = i + 1
    local list_key = job_key(parent) .. ':dependents'
    for _, child in ipairs(pcall_('SMEMBERS', list_key)) do
      local became = tell_child(child, parent, ok, 'parent failed: ' .. parent, failure_default)
      if became == 'ready' then
        released = released + 1
      elseif became == 'canceled' then
        parents[#parents + 1] = { child, false }
        canceled = canceled + 1
      end
    end
    call('DEL', list_key)
  end
  return released, canceled
end
