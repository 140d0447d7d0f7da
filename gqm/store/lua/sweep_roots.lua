-- needs: cursor heirs
-- Takes roots of job graphs out whose hash is gone; their descendants that now have no kept parent, and have
-- children themselves, become roots: one step of a pass.
--
-- KEYS  1 dag:roots
-- ARGV  1 prefix  2 cursor, '' = begin  3 limit
-- Returns {removed, added, next cursor, '' = the pass is over}
local roots, limit = KEYS[1], tonumber(ARGV[3])
local MAX_WALK = 5000 -- no further root is looked at once so many descendants were

local bad = wrong_type(roots, 'zset')
if bad then return bad end
local members, place = zset_step(roots, ARGV[2], limit)

-- 1. Reads: from each gone root down, over descendants that are gone as well.
local gone, heirs, seen, walked = {}, {}, {}, 0
for _, id in ipairs(members) do
  if walked < MAX_WALK and call('EXISTS', job_key(id)) == 0 then
    gone[#gone + 1] = id
    walked = walked + add_heirs(id, {}, seen, heirs)
  end
end

-- 2. Writes.
if #gone > 0 then in_chunks('ZREM', roots, gone) end
if #heirs > 0 then in_chunks('ZADD', roots, heirs) end
return { #gone, #heirs / 2, next_cursor(members, place, #gone) }
