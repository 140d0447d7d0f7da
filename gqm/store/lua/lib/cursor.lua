-- needs: base
-- lib/cursor: bounded steps over a whole zset, by rank. The text '' begins a pass, '' as the next cursor ends it.
-- A pass of more than one step begins at a random place: servers that sweep at the same time should not all look
-- at the same members.

-- The members of one step. Returns them and what next_cursor() needs.
local function zset_step(key, cursor, limit)
  local size = call('ZCARD', key)
  local at, left = string.match(cursor, '^(%d+)%-(%d+)$')
  at, left = tonumber(at), tonumber(left)
  if not at then
    at, left = size > limit and (NOW * 1000000 + tonumber(TIME[2])) % size or 0, size
  end
  if at >= size then at = 0 end
  local members = {}
  if size > 0 then members = call('ZRANGE', key, int(at), int(math.min(at + math.min(limit, left), size) - 1)) end
  return members, { at = at, left = left - #members }
end

-- The cursor behind a step of which `removed` members have been taken out since.
local function next_cursor(members, place, removed)
  if #members == 0 or place.left <= 0 then return '' end
  return int(place.at + #members - removed) .. '-' .. int(place.left)
end
