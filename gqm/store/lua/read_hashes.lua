-- needs: clock
-- Reads the same fields of many hashes. Changes nothing.
--
-- KEYS  1.. the hashes
-- ARGV  1 prefix  then the names of the fields
-- Returns per key the list of its values; a key of another type has none
local rows = {}
for i, key in ipairs(KEYS) do
  local row = pcall_('HMGET', key, unpack(ARGV, 2))
  rows[i] = row.err and {} or row
end
return rows
