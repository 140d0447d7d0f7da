-- needs: view
-- Reads what a list shows of each job: no payload, only its size. Changes nothing.
--
-- KEYS  1 leases
-- ARGV  1 prefix  2 number of fields  then their names, the first are status, queue, worker_id; then the job ids
-- Returns {server time in unix ms, rows}
--   row  {values, bytes of the payload, deadline or due time or false, end of the holder's lease or false,
--         parents that a deferred job waits for}; the values are empty for a key that is no hash
local fields = tonumber(ARGV[2])
local rows = {}
for i = 3 + fields, #ARGV do
  local id = ARGV[i]
  local values = pcall_('HMGET', job_key(id), unpack(ARGV, 3, 2 + fields))
  if values.err then values = {} end
  local status, q = values[1], queue_name(values[2])
  local bytes = status and call('HSTRLEN', job_key(id), 'payload') or 0
  rows[#rows + 1] = { values, bytes, text_or_false(place_score(id, status, q)),
    text_or_false(lease_of(status, values[3])), waits_for(id, status) }
end
return { NOW_MS, rows }
