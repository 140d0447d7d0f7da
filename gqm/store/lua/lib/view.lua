-- needs: base
-- lib/view: what is stored about a job beside its hash.

-- Score in the container that the job's state names: deadline of a running job, due time of a waiting one; else false.
local function place_score(id, status, q)
  if status == 'processing' then return pcall_('ZSCORE', queue_key(q, 'processing'), id) end
  if status == 'scheduled' or status == 'retry' then return pcall_('ZSCORE', P .. 'scheduled', id) end
  return false
end

-- When the lease of the server that runs a job ends; false if nobody of ours does, or it has none.
local function lease_of(status, worker)
  local server = status == 'processing' and worker and string.match(worker, '@([^@]*)$')
  return server and pcall_('ZSCORE', P .. 'leases', server) or false
end

-- Parents that a deferred job still waits for.
local function waits_for(id, status)
  if status ~= 'deferred' then return {} end
  local ids = pcall_('SMEMBERS', job_key(id) .. ':pending_deps')
  return ids.err and {} or ids
end

local function text_or_false(value) return type(value) == 'string' and value or false end

-- Children of a job: number, and the ids up to `most` of them. Old parents may have only those still to be told.
local function children_of(id, most)
  local ids, seen, total = {}, {}, 0
  for _, part in ipairs({ ':children', ':dependents' }) do
    local key = job_key(id) .. part
    local size = pcall_('SCARD', key)
    if type(size) == 'number' and size > 0 then
      total = math.max(total, size)
      local found = size <= most and call('SMEMBERS', key) or call('SSCAN', key, 0, 'COUNT', most)[2]
      for _, child in ipairs(found) do
        if not seen[child] and #ids < most then
          seen[child] = true
          ids[#ids + 1] = child
        end
      end
    end
  end
  return math.max(total, #ids), ids
end
