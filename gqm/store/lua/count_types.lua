-- needs: base
-- Counts the job types among the next jobs of a queue. Changes nothing.
--
-- KEYS  1 ready
-- ARGV  1 prefix  2 number of ids to look at
-- Returns type, number, …
local counts, names = {}, {}
for _, id in ipairs(pcall_('LRANGE', KEYS[1], -tonumber(ARGV[2]), -1)) do
  local h = pcall_('HMGET', job_key(id), 'status', 'type')
  if h[1] == 'ready' then
    local name = h[2] or ''
    if not counts[name] then names[#names + 1] = name end
    counts[name] = (counts[name] or 0) + 1
  end
end
local answer = {}
for _, name in ipairs(names) do
  answer[#answer + 1] = name
  answer[#answer + 1] = counts[name]
end
return answer
