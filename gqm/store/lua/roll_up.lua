-- needs: view
-- Counts the descendants of jobs by state. Changes nothing.
--
-- KEYS  1 job hash of the first
-- ARGV  1 prefix  2 most descendants to look at of each job  then up to 20 job ids
-- Returns rows {number of children, cut short 0|1, {state, number, …}}; descendants that are gone are not counted
local most = tonumber(ARGV[2])

local function look_below(id)
  local child_count, children = children_of(id, most)
  local stack, seen, looked_at, cut = children, { [id] = true }, 0, child_count > #children
  local counts = {}
  while #stack > 0 do
    local job = table.remove(stack, 1)
    if not seen[job] then
      if looked_at == most then return child_count, true, counts end
      seen[job] = true
      looked_at = looked_at + 1
      local status = pcall_('HGET', job_key(job), 'status')
      if type(status) == 'string' then counts[status] = (counts[status] or 0) + 1 end
      local total, below = children_of(job, most)
      cut = cut or total > #below
      for _, child in ipairs(below) do stack[#stack + 1] = child end
    end
  end
  return child_count, cut, counts
end

local rows = {}
for i = 3, #ARGV do
  local child_count, cut, counts = look_below(ARGV[i])
  local flat = {}
  for status, number in pairs(counts) do
    flat[#flat + 1] = status
    flat[#flat + 1] = number
  end
  rows[#rows + 1] = { child_count, cut and 1 or 0, flat }
end
return rows
