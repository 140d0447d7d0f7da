-- needs: clock
-- Reads parts of ready lists and zsets of jobs in their order. Changes nothing.
--
-- KEYS  1.. the lists and zsets
-- ARGV  1 prefix  2 what an id must hold, '' = anything
--       then per key: list|zset, asc|desc, number of ids to pass over, number of ids wanted, least score,
--       greatest score (both -inf and +inf for a list)
-- asc is oldest first: from the tail of a list, from the least score. A key of a wrong type counts as empty.
-- Returns per key {number of ids in all (within the scores), number of ids looked at, {id, score, …}}, the score is 0
-- in a list
local part, answers = ARGV[2], {}

local function of_list(key, newest_first, offset, count)
  local size = pcall_('LLEN', key)
  if type(size) ~= 'number' then return 0, 0, {} end
  if size <= offset or count == 0 then return size, 0, {} end
  local from, to = offset, offset + count - 1
  if not newest_first then from, to = -offset - count, -offset - 1 end
  local run, found = call('LRANGE', key, from, to), {}
  for i = 1, #run do
    local id = run[newest_first and i or #run + 1 - i]
    found[2 * i - 1], found[2 * i] = id, '0'
  end
  return size, #run, found
end

-- Scores become ranks, because passing over many members by score takes as long as reading them.
local function of_zset(key, newest_first, offset, count, least, greatest)
  local first, behind = 0, pcall_('ZCARD', key)
  if type(behind) ~= 'number' then return 0, 0, {} end
  local all = behind
  if least ~= '-inf' then first = call('ZCOUNT', key, '-inf', '(' .. least) end
  if greatest ~= '+inf' then behind = call('ZCOUNT', key, '-inf', greatest) end
  local size = math.max(0, behind - first)
  if size <= offset or count == 0 then return size, 0, {} end
  local wanted = math.min(count, size - offset)
  local from = newest_first and all - behind + offset or first + offset
  local found
  if newest_first then
    found = call('ZRANGE', key, from, from + wanted - 1, 'REV', 'WITHSCORES')
  else
    found = call('ZRANGE', key, from, from + wanted - 1, 'WITHSCORES')
  end
  return size, #found / 2, found
end

local function holding(found)
  local fitting = {}
  for i = 1, #found, 2 do
    if string.find(found[i], part, 1, true) then
      fitting[#fitting + 1] = found[i]
      fitting[#fitting + 1] = found[i + 1]
    end
  end
  return fitting
end

for i, key in ipairs(KEYS) do
  local at = 6 * i - 3
  local read = ARGV[at] == 'list' and of_list or of_zset
  local size, looked_at, found = read(key, ARGV[at + 1] == 'desc', tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]),
    ARGV[at + 4], ARGV[at + 5])
  answers[i] = { size, looked_at, part == '' and found or holding(found) }
end
return answers
