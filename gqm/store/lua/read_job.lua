-- needs: view
-- Reads all that is known about one job. Changes nothing.
--
-- KEYS  1 job hash
-- ARGV  1 prefix  2 id  3 most children to name
-- Returns {server time in unix ms, {field, value, …}, deadline or due time or false, end of the holder's lease or
--   false, parents that a deferred job waits for, seconds to live or -1, number of children, children}
--   an empty list of fields: there is no such job
local key, id = KEYS[1], ARGV[2]
local fields = pcall_('HGETALL', key)
if fields.err then fields = {} end
local status, q, worker
for i = 1, #fields, 2 do
  if fields[i] == 'status' then status = fields[i + 1] end
  if fields[i] == 'queue' then q = fields[i + 1] end
  if fields[i] == 'worker_id' then worker = fields[i + 1] end
end
if not status or status == '' then return { NOW_MS, {}, false, false, {}, -1, 0, {} } end
local child_count, children = children_of(id, tonumber(ARGV[3]))
return { NOW_MS, fields, text_or_false(place_score(id, status, queue_name(q))), text_or_false(lease_of(status, worker)),
  waits_for(id, status), call('TTL', key), child_count, children }
