-- needs: faults
-- Sets right what parents and children know of each other: an ended job tells its children; a waiting one hears of
-- parents that have ended or are gone, becomes known to those that live, and waits for no others.
--
-- KEYS  1 job hash
-- ARGV  1 prefix  2 id  3 default failure_ttl, '' = servers' setting
-- A parent that is gone counts as failed. A pending set that is missing is made again from the job's record.
-- Returns {released, canceled, links mended}
local id, failure_default = ARGV[2], ARGV[3]
local job = look_at(id, {}, false)
if job.wrong then return redis.error_reply('WRONGTYPE_KEY ' .. job.key) end
local bad = wrong_type(P .. 'deferred', 'set', job.key .. ':pending_deps', 'set', job.key .. ':dependents', 'set')
if bad then return bad end

if TERMINAL[job.status] then
  local untold = call('SCARD', job.key .. ':dependents')
  local released, canceled = tell_children({ { id, job.status == 'completed' } }, failure_default)
  report('mend')
  return { released, canceled, untold }
end
if job.status ~= 'deferred' then return { 0, 0, 0 } end
local waits = waits_of(job)
if not waits then return { 0, 0, 0 } end

local pending = job.key .. ':pending_deps'
local links = 0
if #waits.pending == 0 and #waits.parents > 0 then
  in_chunks('SADD', pending, waits.parents)
  links = #waits.parents
  waits = waits_of(job)
end
for _, parent in ipairs(waits.unlinked) do
  local children = job_key(parent) .. ':dependents'
  if not wrong_type(children, 'set') then links = links + call('SADD', children, id) end
end
for _, parent in ipairs(waits.alien) do links = links + call('SREM', pending, parent) end

local became
local function tell(parent, ok, reason)
  if became then return end
  became = tell_child(id, parent, ok, reason, failure_default)
end
for _, ended in ipairs(waits.ended) do tell(ended[1], ended[2], 'parent failed: ' .. ended[1]) end
for _, parent in ipairs(waits.gone) do tell(parent, false, 'parent missing: ' .. parent) end
if not became and call('EXISTS', pending) == 0 and can_push(job.q) then
  release(id, job.q, job.front)
  became = 'ready'
end
local released, canceled = 0, 0
if became == 'canceled' then released, canceled = tell_children({ { id, false } }, failure_default) end
report('mend')
return { released + (became == 'ready' and 1 or 0), canceled + (became == 'canceled' and 1 or 0), links }
