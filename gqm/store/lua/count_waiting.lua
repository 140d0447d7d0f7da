-- needs: base
-- Counts waiting jobs by queue and state: one step over `scheduled` or `deferred`. Changes nothing.
--
-- KEYS  1 scheduled or deferred
-- ARGV  1 prefix  2 zset|set  3 cursor, '' = begin  4 limit
-- Returns {next cursor, '' = the end, ids looked at, {queue, state, number, …}, members in all}; a key of another
-- type counts as empty
local key, kind, cursor, limit = KEYS[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local ids, following = {}, ''
if kind == 'zset' then
  local from = tonumber(cursor) or 0
  ids = pcall_('ZRANGE', key, from, from + limit - 1)
  if #ids == limit then following = int(from + limit) end
else
  local reply = pcall_('SSCAN', key, cursor == '' and '0' or cursor, 'COUNT', limit)
  ids = reply[2] or {}
  following = reply[1] and reply[1] ~= '0' and reply[1] or ''
end

local counts, order = {}, {}
for _, id in ipairs(ids) do
  local h = pcall_('HMGET', job_key(id), 'status', 'queue')
  local status = h[1]
  if status == 'scheduled' or status == 'retry' or status == 'deferred' then
    local q = queue_name(h[2])
    local name = status .. ' ' .. q
    if not counts[name] then order[#order + 1] = { q, status, name } end
    counts[name] = (counts[name] or 0) + 1
  end
end
local answer = {}
for _, item in ipairs(order) do
  answer[#answer + 1] = item[1]
  answer[#answer + 1] = item[2]
  answer[#answer + 1] = counts[item[3]]
end
local size = pcall_(kind == 'zset' and 'ZCARD' or 'SCARD', key)
return { following, #ids, answer, type(size) == 'number' and size or 0 }
