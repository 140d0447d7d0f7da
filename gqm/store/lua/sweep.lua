-- needs: cursor
-- Takes members out of a registry or a terminal zset whose hash is gone (deleted or expired): one step of a pass.
--
-- KEYS  1 the set or zset
-- ARGV  1 prefix  2 set|zset  3 what stands between the prefix and a member in the key of its hash, like 'job:'
--       4 cursor, '' = begin  5 limit
-- Returns {removed, next cursor, '' = the pass is over}
local key, kind, middle, cursor, limit = KEYS[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

local bad = wrong_type(key, kind)
if bad then return bad end
local members, place
if kind == 'zset' then
  members, place = zset_step(key, cursor, limit)
else
  local reply = call('SSCAN', key, cursor == '' and '0' or cursor, 'COUNT', limit)
  cursor, members = reply[1], reply[2]
end

-- Most hashes exist: one EXISTS over many tells, and only where some are missing each is asked for.
local gone = {}
for from = 1, #members, 500 do
  local hashes = {}
  for i = from, math.min(from + 499, #members) do hashes[#hashes + 1] = P .. middle .. members[i] end
  if call('EXISTS', unpack(hashes)) < #hashes then
    for i, hash in ipairs(hashes) do
      if call('EXISTS', hash) == 0 then gone[#gone + 1] = members[from + i - 1] end
    end
  end
end

if #gone > 0 then in_chunks(kind == 'zset' and 'ZREM' or 'SREM', key, gone) end
if kind == 'zset' then return { #gone, next_cursor(members, place, #gone) } end
return { #gone, cursor == '0' and '' or cursor }
