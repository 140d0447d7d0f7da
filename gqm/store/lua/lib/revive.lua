-- needs: family
-- lib/revive: ended jobs that run again.

local REVIVABLE = { dead_letter = 1, failed = 1, canceled = 1, stopped = 1 }

-- Puts an ended job to the back of its queue as if it had never run. The caller has taken it out of its terminal set.
local function revive(id, q, from)
  local key = job_key(id)
  call('HDEL', key, 'error', 'traceback', 'completed_at', 'failed_at', 'started_at', 'worker_id', 'execution_duration',
    'cancel_reason', 'progress', 'settled', 'transient_since', 'unknown_since')
  call('HSET', key, 'retry_count', 0)
  call('PERSIST', key)
  call('PERSIST', key .. ':attempts')
  call('PERSIST', key .. ':children')
  push_ready(id, q, false)
  count(q, 'requeued')
  changed(id, q, from, 'ready')
end
