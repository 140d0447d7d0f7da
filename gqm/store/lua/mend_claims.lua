-- needs: faults
-- Takes records of a server's claims away that no job stands behind.
--
-- KEYS  1 claims hash of the server
-- ARGV  1 prefix  2 server id  then up to 500 job ids
-- Returns the number of records that went
local claims, server = KEYS[1], ARGV[2]
local bad = wrong_type(claims, 'hash')
if bad then return bad end
local stale = {}
for i = 3, #ARGV do
  local text = call('HGET', claims, ARGV[i])
  if text and is_stale_record(server, ARGV[i], text) then stale[#stale + 1] = ARGV[i] end
end
return #stale > 0 and call('HDEL', claims, unpack(stale)) or 0
