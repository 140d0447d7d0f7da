-- needs: cursor lineage
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

local function has_kept_parent(depends_on)
  local hashes = {}
  for i, parent in ipairs(parents_of(depends_on)) do hashes[i] = job_key(parent) end
  return #hashes > 0 and call('EXISTS', unpack(hashes)) > 0
end

local function heirs_of(root)
  local stack = { root }
  while #stack > 0 do
    for _, child in ipairs(pcall_('SMEMBERS', job_key(table.remove(stack)) .. ':children')) do
      if not seen[child] then
        seen[child] = true
        walked = walked + 1
        local h = pcall_('HMGET', job_key(child), 'status', 'created_at', 'depends_on')
        if not h[1] then
          stack[#stack + 1] = child
        elseif call('EXISTS', job_key(child) .. ':children') == 1 and not has_kept_parent(h[3]) then
          heirs[#heirs + 1] = whole(h[2], NOW)
          heirs[#heirs + 1] = child
        end
      end
    end
  end
end

for _, id in ipairs(members) do
  if walked < MAX_WALK and call('EXISTS', job_key(id)) == 0 then
    gone[#gone + 1] = id
    heirs_of(id)
  end
end

-- 2. Writes.
if #gone > 0 then in_chunks('ZREM', roots, gone) end
if #heirs > 0 then in_chunks('ZADD', roots, heirs) end
return { #gone, #heirs / 2, next_cursor(members, place, #gone) }
