-- needs: base
-- lib/lineage: the parents that a job's record names.

-- Parent ids of a stored depends_on text; none if it is absent or no list.
local function parents_of(depends_on)
  local ids = {}
  if not depends_on then return ids end
  local ok, list = pcall(cjson.decode, depends_on)
  if ok and type(list) == 'table' then
    for _, id in ipairs(list) do
      if type(id) == 'string' then ids[#ids + 1] = id end
    end
  end
  return ids
end
