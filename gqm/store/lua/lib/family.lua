-- needs: place
-- lib/family: what the end of a parent means for its children (DAG).

-- Tells the children of every ended parent, then theirs, until nothing is left: iterative, one script.
-- parents: list of {id, ok}. A child that waits for nothing more goes to ready; a child of a failed parent
-- without allow_failure is canceled and its own children are told in turn. A child whose pending set does
-- not hold the parent is left alone (dag_sweep judges it). Reads use pcall: a key of a wrong type, written
-- by somebody else, must not stop the walk half way.
-- Returns the numbers of released and canceled children.
local function tell_children(parents, failure_default)
  local released, canceled, i = 0, 0, 1
  while parents[i] do
    local parent, ok = parents[i][1], parents[i][2]
    i = i + 1
    local list_key = job_key(parent) .. ':dependents'
    local children = pcall_('SMEMBERS', list_key)
    for _, child in ipairs(children) do
      local key = job_key(child)
      local h = pcall_('HMGET', key, 'status', 'queue', 'allow_failure', 'enqueue_at_front', 'failure_ttl')
      local pending = key .. ':pending_deps'
      if h[1] == 'deferred' and pcall_('SISMEMBER', pending, parent) == 1 then
        local q = h[2] or 'default'
        if ok or h[3] == '1' then
          call('SREM', pending, parent)
          if call('EXISTS', pending) == 0 then
            call('SREM', P .. 'deferred', child)
            call('DEL', key .. ':deps')
            push_ready(child, q, h[4] == '1')
            changed(child, q, 'deferred', 'ready')
            released = released + 1
          end
        else
          call('SREM', P .. 'deferred', child)
          end_unrun(child, q, 'deferred', 'canceled', 'parent failed: ' .. parent, h[5], failure_default)
          parents[#parents + 1] = { child, false }
          canceled = canceled + 1
        end
      end
    end
    call('DEL', list_key)
  end
  return released, canceled
end
