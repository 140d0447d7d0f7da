-- needs: claims
-- Reads which jobs servers have claimed, the longest held first. Changes nothing.
--
-- KEYS  1.. claims hashes of up to 20 servers
-- ARGV  1 prefix  2 most claims of one server
-- Returns per key the list of job ids
local most, answers = tonumber(ARGV[2]), {}
for i, key in ipairs(KEYS) do
  local size = pcall_('HLEN', key)
  local flat = {}
  if type(size) == 'number' and size > 0 then
    flat = size <= most and call('HGETALL', key) or call('HSCAN', key, 0, 'COUNT', most)[2]
  end
  local claims = {}
  for n = 1, #flat, 2 do
    local item = read_claim(flat[n + 1])
    if item then
      item.id = flat[n]
      claims[#claims + 1] = item
    end
  end
  table.sort(claims, claimed_before)
  local ids = {}
  for n = 1, math.min(#claims, most) do ids[n] = claims[n].id end
  answers[i] = ids
end
return answers
