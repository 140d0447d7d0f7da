-- needs: clock
-- Adds an entry to the audit stream, which keeps about the newest 10,000.
--
-- KEYS  1 audit
-- ARGV  1 prefix  2 replay 0|1 (an answer was lost)  3 request_id  4 action  5 target  then further fields and values
-- Returns the id of the entry, also when it was added before by this very call
local audit, request, action, target = KEYS[1], ARGV[3], ARGV[4], ARGV[5]
local LOOKED_AT = 200 -- entries that others may have added since

if ARGV[2] == '1' then
  for _, entry in ipairs(call('XREVRANGE', audit, '+', '-', 'COUNT', LOOKED_AT)) do
    local h = {}
    for i = 1, #entry[2], 2 do h[entry[2][i]] = entry[2][i + 1] end
    if h.request_id == request and h.action == action and h.target == target then return entry[1] end
  end
end
local ts = string.format('%.3f', NOW_MS / 1000)
return call('XADD', audit, 'MAXLEN', '~', 10000, '*', 'ts', ts, 'request_id', request, 'action', action,
  'target', target, unpack(ARGV, 6))
