-- needs: faults
-- Tidies a job's record and the keys beside it: a live job loses its expiry, a job that waits for nothing its parent
-- sets; a record without a state goes, and so does what was left of a record that is gone.
--
-- KEYS  1 job hash
-- ARGV  1 prefix  2 id
-- Returns the number of keys that were changed or deleted
local job = look_at(ARGV[2], {}, false)
if job.wrong then return redis.error_reply('WRONGTYPE_KEY ' .. job.key) end
local key = job.key
if not job.exists then
  local keys = stray_sides(job)
  return #keys > 0 and call('DEL', unpack(keys)) or 0
end
if not job.status then
  local keys = { key }
  for _, side in ipairs(SIDES) do keys[#keys + 1] = key .. side end
  return call('DEL', unpack(keys))
end
local changes_ = 0
if LIVE[job.status] then
  for _, name in ipairs({ key, key .. ':attempts', key .. ':children' }) do
    changes_ = changes_ + call('PERSIST', name)
  end
end
if job.known and job.status ~= 'deferred' then
  changes_ = changes_ + call('DEL', key .. ':deps', key .. ':pending_deps')
end
return changes_
