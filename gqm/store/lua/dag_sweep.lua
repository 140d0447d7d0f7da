-- needs: family lineage
-- Judges jobs that wait for parents, where another program told them nothing: one step of a pass over `deferred`.
--
-- KEYS  1 deferred
-- ARGV  1 prefix  2 cursor, '' = begin  3 limit  4 default failure_ttl, '' = servers' setting
-- Only jobs made over 60 s ago are judged. A parent that has ended counts as if it ended now. One whose hash is
-- missing counts as failed once it was missing for 25 s, which is on a later pass. A missing pending set is made
-- again from depends_on. Ids that are not deferred are taken out.
-- Returns {released, canceled, ids taken out, next cursor, '' = the pass is over}
local deferred, cursor, limit, failure_default = KEYS[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local AGE_S, MISSING_S, MAX_PARENTS = 60, 25, 5000

local bad = wrong_type(deferred, 'set')
if bad then return bad end
local reply = call('SSCAN', deferred, cursor == '' and '0' or cursor, 'COUNT', limit)
local children = reply[2]

-- 1. Reads: what is to be done for each child.
local parents_looked_at, states = 0, {}
local function state_of(parent)
  if states[parent] == nil then
    parents_looked_at = parents_looked_at + 1
    local status = pcall_('HGET', job_key(parent), 'status')
    states[parent] = type(status) == 'string' and status ~= '' and status or false
  end
  return states[parent]
end

-- The parents a child waits for, and whether its pending set must be made again. nil if a key is unreadable.
local function waits_for(key, depends_on)
  local pending = pcall_('SMEMBERS', key .. ':pending_deps')
  if pending.err then return nil end
  if #pending > 0 then return pending, false end
  local parents = parents_of(depends_on)
  if #parents == 0 then parents = pcall_('SMEMBERS', key .. ':deps') end
  return parents, true
end

local strays, cases, seen = {}, {}, {}
local function judge(child)
  if seen[child] then return end
  seen[child] = true
  local key = job_key(child)
  local h = pcall_('HMGET', key, 'status', 'created_at', 'depends_on', 'parent_missing_since', 'queue',
    'enqueue_at_front')
  if h[1] ~= 'deferred' then
    strays[#strays + 1] = child
    return
  end
  if whole(h[2], 0) > NOW - AGE_S then return end
  local parents, rebuild = waits_for(key, h[3])
  if not parents then return end
  local case = { id = child, key = key, parents = parents, rebuild = rebuild, ended = {}, missing = {}, h = h }
  for _, parent in ipairs(parents) do
    local state = state_of(parent)
    if not state then
      case.missing[#case.missing + 1] = parent
    elseif TERMINAL[state] then
      case.ended[#case.ended + 1] = { parent, state == 'completed' }
    end
  end
  case.since = whole(h[4])
  cases[#cases + 1] = case
end

-- Steps with very many parents leave some children for another pass, each time others.
local first = #children > 0 and tonumber(TIME[2]) % #children or 0
for i = 1, #children do
  if parents_looked_at < MAX_PARENTS then judge(children[(first + i) % #children + 1]) end
end

-- 2. Writes.
local released, canceled, failed = 0, 0, {}

local function tell(case, parent, ok, reason)
  local became = tell_child(case.id, parent, ok, reason, failure_default)
  if became == 'ready' then
    released = released + 1
  elseif became == 'canceled' then
    canceled = canceled + 1
    failed[#failed + 1] = { case.id, false }
  end
end

local function mend(case)
  if case.rebuild then
    local q = queue_name(case.h[5])
    if #case.parents == 0 then
      if can_push(q) then
        release(case.id, q, case.h[6] == '1')
        released = released + 1
      end
      return
    end
    in_chunks('SADD', case.key .. ':pending_deps', case.parents)
    for _, parent in ipairs(case.parents) do
      if state_of(parent) and not TERMINAL[state_of(parent)] then
        pcall_('SADD', job_key(parent) .. ':dependents', case.id)
      end
    end
  end
  local overdue = #case.missing > 0 and case.since and NOW - case.since >= MISSING_S
  if case.since and (overdue or #case.missing == 0) then
    call('HDEL', case.key, 'parent_missing_since')
  elseif #case.missing > 0 and not case.since then
    call('HSET', case.key, 'parent_missing_since', NOW)
  end
  for _, ended in ipairs(case.ended) do tell(case, ended[1], ended[2], 'parent failed: ' .. ended[1]) end
  if overdue then
    for _, parent in ipairs(case.missing) do tell(case, parent, false, 'parent missing: ' .. parent) end
  end
end

if #strays > 0 then in_chunks('SREM', deferred, strays) end
for _, case in ipairs(cases) do mend(case) end
local more_released, more_canceled = tell_children(failed, failure_default)
report('dag_sweep')
return { released + more_released, canceled + more_canceled, #strays, reply[1] == '0' and '' or reply[1] }
