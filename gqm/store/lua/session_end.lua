-- needs: clock
-- Ends sessions of one user: those that are named, or all.
--
-- KEYS  1 sessions of the user
-- ARGV  1 prefix  then digests; none = all
-- Returns how many were alive
local digests = { unpack(ARGV, 2) }
if #digests == 0 then digests = call('SMEMBERS', KEYS[1]) end
local ended = 0
for _, digest in ipairs(digests) do
  ended = ended + call('DEL', P .. 'session:' .. digest)
  call('SREM', KEYS[1], digest)
end
return ended
