-- needs: clock
-- Reads all sessions of one user; those that are over are forgotten.
--
-- KEYS  1 sessions of the user
-- ARGV  1 prefix
-- Returns digest, then fields and values, in turn
local found = {}
for _, digest in ipairs(call('SMEMBERS', KEYS[1])) do
  local h = call('HGETALL', P .. 'session:' .. digest)
  if #h == 0 then
    call('SREM', KEYS[1], digest)
  else
    found[#found + 1] = digest
    found[#found + 1] = h
  end
end
return found
