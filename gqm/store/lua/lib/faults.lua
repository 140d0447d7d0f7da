-- needs: uproot claims
-- lib/faults: what is wrong with one job: its record, the containers that hold its id, its claim, its family.

local PARTS = { 'processing', 'completed', 'dead_letter', 'canceled' }
local SIDES = { ':deps', ':pending_deps', ':dependents', ':children', ':attempts' }
local FAR = 1000000      -- how far from its tail a ready list is searched for an id: up to some 30 ms
local DEAD_S = 15        -- how long ago a lease must have ended for its claims to count as forgotten
local MAX_PENDING = 5000 -- a job that waits for more parents is not looked at any closer

-- The containers that hold an id: those of all queues, those of its own, and of further queues where it was met.
-- A ready list is searched only if `deep`, and only FAR ids from its tail on. Returns places
-- {key, part, q, score or number of copies}, and whether a list that was not searched whole may hold it, too.
local function places_of(id, queues, deep)
  local found, unsure, seen = {}, not deep, {}
  local function add(key, part, q, value)
    if type(value) ~= 'table' and value and value ~= 0 then
      found[#found + 1] = { key = key, part = part, q = q, value = value }
    end
  end
  for _, q in ipairs(queues) do
    if not seen[q] then
      seen[q] = true
      for _, part in ipairs(PARTS) do
        add(queue_key(q, part), part, q, pcall_('ZSCORE', queue_key(q, part), id))
      end
      local ready = queue_key(q, 'ready')
      local size = deep and pcall_('LLEN', ready) or 0
      if type(size) == 'number' and size > 0 then
        add(ready, 'ready', q, #call('LPOS', ready, id, 'RANK', -1, 'COUNT', 0, 'MAXLEN', FAR))
        unsure = unsure or size > FAR
      end
    end
  end
  add(P .. 'scheduled', 'scheduled', '', pcall_('ZSCORE', P .. 'scheduled', id))
  add(P .. 'deferred', 'deferred', '', pcall_('SISMEMBER', P .. 'deferred', id))
  return found, unsure
end

-- A job as it stands. `wrong` is set for a key of another type; `status` is nil where there is no job; `right` is
-- the place that the status names, if the id is there; `others` are the places where it should not be.
local function look_at(id, extra, deep)
  local key = job_key(id)
  local kind = call('TYPE', key).ok
  local job = { id = id, key = key, exists = kind ~= 'none', wrong = kind ~= 'none' and kind ~= 'hash', others = {} }
  local h = kind == 'hash' and call('HMGET', key, 'status', 'queue', 'worker_id', 'claim', 'depends_on', 'result_ttl',
    'failure_ttl', 'completed_at', 'failed_at', 'enqueue_at_front', 'scheduled_at') or {}
  job.status = h[1] and h[1] ~= '' and h[1] or nil
  job.q, job.worker, job.claim, job.depends_on = queue_name(h[2]), h[3] or '', h[4], h[5]
  job.result_ttl, job.failure_ttl, job.front = h[6], h[7], h[10] == '1'
  job.ended_at, job.scheduled_at = whole(h[8]) or whole(h[9]), whole(h[11])
  job.known = job.status and (LIVE[job.status] or TERMINAL[job.status]) and true or false
  local queues = { job.q }
  for _, q in ipairs(extra) do queues[#queues + 1] = q end
  local places, unsure = places_of(id, queues, deep)
  job.place, job.kind = container_of(job.status, job.q)
  for _, place in ipairs(places) do
    -- A ready job may stand in the list of another queue: claim then writes that queue into its record.
    if not job.right and (place.key == job.place or job.status == 'ready' and place.part == 'ready') then
      job.right = place
    else
      job.others[#job.others + 1] = place
    end
  end
  job.lost = job.place and not job.right and not (unsure and job.status == 'ready')
  return job
end

local function short(key) return string.sub(key, #P + 1) end

local function place_faults(job, fault)
  for _, place in ipairs(job.others) do
    if job.status then
      fault(job.lost and 'wrong_place' or 'two_places', short(place.key))
    elseif TERMINAL[place.part] then
      fault('expired_entry', short(place.key))
    else
      fault('no_hash', short(place.key))
    end
  end
  if job.right and job.right.part == 'ready' and job.right.value > 1 then
    fault('twice_ready', short(job.right.key))
  end
  if job.lost and #job.others == 0 then
    fault(LIVE[job.status] and 'nowhere' or 'unlisted', short(job.place))
  end
end

-- Keys beside a record that is gone and that nothing will ever remove.
local function stray_sides(job)
  local keys = {}
  for _, side in ipairs(SIDES) do
    if call('TTL', job.key .. side) == -1 then keys[#keys + 1] = job.key .. side end
  end
  return keys
end

local function record_faults(job, fault)
  local ttl = call('TTL', job.key)
  if LIVE[job.status] and ttl >= 0 then fault('live_ttl', job.status) end
  if TERMINAL[job.status] and job.status ~= 'failed' and ttl == -1 then
    local completed = job.status == 'completed'
    local field, own = completed and 'result_ttl' or 'failure_ttl', completed and job.result_ttl or job.failure_ttl
    if ttl_of(field, own, '') > 0 then fault('no_expiry', job.status) end
  end
  if job.status ~= 'deferred' and call('EXISTS', job.key .. ':deps', job.key .. ':pending_deps') > 0 then
    fault('leftover_deps', job.status)
  end
  if TERMINAL[job.status] and call('EXISTS', job.key .. ':dependents') == 1 then
    fault('untold_children', job.status)
  end
end

local function claim_faults(job, fault, slack_s)
  if job.status ~= 'processing' or not job.right then return end
  local server = string.match(job.worker, '@([^@]*)$')
  local overdue = tonumber(job.right.value) < NOW - slack_s
  if not server or not job.claim then
    if overdue then
      fault('overdue_claim', job.q)
    elseif server then
      fault('no_fence', server)
    end
    return
  end
  local ends = pcall_('ZSCORE', P .. 'leases', server)
  local dead = type(ends) ~= 'string' or tonumber(ends) < NOW - DEAD_S
  local record = read_claim(pcall_('HGET', claims_of(job.worker), job.id))
  if record and record.token == job.claim then
    if dead then fault('dead_claim', server) end
  elseif dead and overdue then
    fault('overdue_claim', job.q)
  else
    fault('no_record', server)
  end
end

-- What a waiting job waits for: its pending set, the parents that its record names, and each pending parent sorted
-- into `gone`, `ended` ({id, completed}), `unlinked` (it lives, and does not know the child) and `alien` (its record
-- names no such parent). nil if that is too much to look at.
local function waits_of(job)
  local pending = pcall_('SMEMBERS', job.key .. ':pending_deps')
  if pending.err or #pending > MAX_PENDING then return nil end
  local waits = { pending = pending, parents = parents_of(job.depends_on), gone = {}, ended = {}, unlinked = {},
    alien = {} }
  local named = {}
  for _, parent in ipairs(waits.parents) do named[parent] = true end
  for _, parent in ipairs(pending) do
    local status = pcall_('HGET', job_key(parent), 'status')
    if #waits.parents > 0 and not named[parent] then
      table.insert(waits.alien, parent)
    elseif type(status) ~= 'string' or status == '' then
      table.insert(waits.gone, parent)
    elseif TERMINAL[status] then
      table.insert(waits.ended, { parent, status == 'completed' })
    elseif pcall_('SISMEMBER', job_key(parent) .. ':dependents', job.id) ~= 1 then
      table.insert(waits.unlinked, parent)
    end
  end
  return waits
end

local function family_faults(job, fault)
  if job.status ~= 'deferred' then return end
  local waits = waits_of(job)
  if not waits then return end
  if #waits.pending == 0 then fault('no_pending', '') end
  if waits.alien[1] then fault('alien_parent', waits.alien[1]) end
  if waits.gone[1] then fault('parent_gone', waits.gone[1]) end
  if waits.ended[1] then fault('parent_ended', waits.ended[1][1]) end
  if waits.unlinked[1] then fault('unlinked', waits.unlinked[1]) end
end

-- All that is wrong with an id: kind, detail, kind, detail, …, and the job as it was looked at.
local function faults_of(id, extra, deep, slack_s)
  local job, out = look_at(id, extra, deep), {}
  local function fault(kind, detail)
    out[#out + 1] = kind
    out[#out + 1] = detail
  end
  if job.wrong then
    fault('wrong_type', short(job.key))
    return out, job
  end
  if job.status and not job.known then
    fault('unknown_status', job.status)
    return out, job
  end
  place_faults(job, fault)
  if job.status then
    record_faults(job, fault)
    claim_faults(job, fault, slack_s)
    family_faults(job, fault)
  elseif job.exists then
    fault('stub', '')
  elseif #stray_sides(job) > 0 then
    fault('orphan_keys', short(stray_sides(job)[1]))
  end
  return out, job
end

-- Whether a claims record of a server has no job behind it that the server holds by it.
local function is_stale_record(server, id, text)
  local record = read_claim(text)
  local h = pcall_('HMGET', job_key(id), 'status', 'claim', 'worker_id')
  return not record or h[1] ~= 'processing' or h[2] ~= record.token
    or string.match(h[3] or '', '@([^@]*)$') ~= server
end
