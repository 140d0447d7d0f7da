-- needs: view
-- Reads jobs of a graph with their children. Changes nothing.
--
-- KEYS  1 job hash of the first
-- ARGV  1 prefix  2 most children to name of each job  3 number of fields  then their names; then the job ids
-- Returns rows {values, number of children, children}; the values are empty for a job that is gone
local most, fields = tonumber(ARGV[2]), tonumber(ARGV[3])
local rows = {}
for i = 4 + fields, #ARGV do
  local values = pcall_('HMGET', job_key(ARGV[i]), unpack(ARGV, 4, 3 + fields))
  if values.err then values = {} end
  local count, children = children_of(ARGV[i], most)
  rows[#rows + 1] = { values, count, children }
end
return rows
