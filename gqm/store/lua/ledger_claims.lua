-- needs: faults
-- Lists the records of a server's claims that no job stands behind, and how its lease is. Changes nothing.
--
-- KEYS  1 claims hash of the server  2 leases
-- ARGV  1 prefix  2 server id  3 most records to look at
-- Returns {ids of stale records, all records looked at 0|1, lease: 0 lives or ended just now, 1 ended long ago, 2 none}
local claims, leases, server, most = KEYS[1], KEYS[2], ARGV[2], tonumber(ARGV[3])
local stale, whole_ = {}, 1
local size = pcall_('HLEN', claims)
if type(size) == 'number' and size > 0 then
  if size > most then whole_ = 0 end
  local flat = size > most and call('HSCAN', claims, 0, 'COUNT', most)[2] or call('HGETALL', claims)
  for i = 1, #flat, 2 do
    if is_stale_record(server, flat[i], flat[i + 1]) then stale[#stale + 1] = flat[i] end
  end
end
local ends = pcall_('ZSCORE', leases, server)
local lease = type(ends) ~= 'string' and 2 or tonumber(ends) < NOW - DEAD_S and 1 or 0
return { stale, whole_, lease }
