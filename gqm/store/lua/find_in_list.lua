-- needs: clock
-- Finds how far from the tail of a ready list the first of some ids stands. Changes nothing.
--
-- KEYS  1 ready
-- ARGV  1 prefix  2 most ids to look at  then the ids, the most wanted first
-- Returns {which of the ids, from 1; 0 = none is there, number of ids between it and the tail}
local key, most = KEYS[1], tonumber(ARGV[2])
local size = pcall_('LLEN', key)
if type(size) == 'number' then
  for i = 3, #ARGV do
    local at = call('LPOS', key, ARGV[i], 'RANK', -1, 'MAXLEN', most)
    if at then return { i - 2, size - 1 - at } end
  end
end
return { 0, 0 }
