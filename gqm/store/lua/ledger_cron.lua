-- needs: base
-- Lists ids of which something about a cron entry is kept, but no entry. Changes nothing.
--
-- KEYS  1 cron:entries  2 cron:slots  3 cron:meta
-- ARGV  1 prefix  2 most ids to look at  then ids of which a key was met
-- Returns the ids
local entries, most = KEYS[1], tonumber(ARGV[2])
local seen, found = {}, {}
local function look(id, kept)
  if not seen[id] and kept and pcall_('HEXISTS', entries, id) == 0 then found[#found + 1] = id end
  seen[id] = true
end
for i = 2, 3 do
  local size = pcall_('HLEN', KEYS[i])
  if type(size) == 'number' and size > 0 and size <= most then
    for _, id in ipairs(call('HKEYS', KEYS[i])) do look(id, true) end
  end
end
for i = 3, #ARGV do
  local id = ARGV[i]
  look(id, call('EXISTS', P .. 'cron:current:' .. id, P .. 'cron:active:' .. id, P .. 'cron:history:' .. id) > 0)
end
return found
