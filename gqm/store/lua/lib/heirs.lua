-- needs: lineage
-- lib/heirs: who becomes a root of a job graph when the record of a job above is gone.

-- Whether the record of a parent is still there; jobs in the set `gone` count as gone already.
local function has_kept_parent(depends_on, gone)
  local hashes = {}
  for _, parent in ipairs(parents_of(depends_on)) do
    if not gone[parent] then hashes[#hashes + 1] = job_key(parent) end
  end
  for from = 1, #hashes, 1000 do
    if call('EXISTS', unpack(hashes, from, math.min(from + 999, #hashes))) > 0 then return true end
  end
  return false
end

-- Walks down from a gone job over descendants that are gone as well. Those that are there, have children and no
-- kept parent are appended to `heirs`: created_at, id, … Each id in `seen` is passed over.
-- Returns the number of descendants looked at.
local function add_heirs(id, gone, seen, heirs)
  local stack, walked = { id }, 0
  while #stack > 0 do
    for _, child in ipairs(pcall_('SMEMBERS', job_key(table.remove(stack)) .. ':children')) do
      if not seen[child] then
        seen[child] = true
        walked = walked + 1
        local h = pcall_('HMGET', job_key(child), 'status', 'created_at', 'depends_on')
        if gone[child] or not h[1] then
          stack[#stack + 1] = child
        elseif call('EXISTS', job_key(child) .. ':children') == 1 and not has_kept_parent(h[3], gone) then
          heirs[#heirs + 1] = whole(h[2], NOW)
          heirs[#heirs + 1] = child
        end
      end
    end
  end
  return walked
end
