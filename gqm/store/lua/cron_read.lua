-- needs: base
-- Reads cron entries as they stand at one instant, and which entries live servers know of.
--
-- KEYS  1 cron:entries  2 cron:slots  3 cron:meta  4 leases
-- ARGV  1 prefix  2 with what live servers know 0|1  then the entry ids; none = all
-- Returns {id, JSON, slot, meta, … with '' for what is not stored; the lists of entry ids (JSON) that live servers
--          have in their records; server time in unix ms}
local entries, slots, meta, leases = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local bad = wrong_type(entries, 'hash', slots, 'hash', meta, 'hash', leases, 'zset')
if bad then return bad end
local ids = {}
for i = 3, #ARGV do ids[#ids + 1] = ARGV[i] end
if #ids == 0 then ids = call('HKEYS', entries) end

local rows = {}
for _, id in ipairs(ids) do
  rows[#rows + 1] = id
  rows[#rows + 1] = call('HGET', entries, id) or ''
  rows[#rows + 1] = call('HGET', slots, id) or ''
  rows[#rows + 1] = call('HGET', meta, id) or ''
end

local lists = {}
if ARGV[2] == '1' then
  for _, server in ipairs(call('ZRANGE', leases, seconds(NOW_MS), '+inf', 'BYSCORE')) do
    local list = pcall_('HGET', P .. 'server:' .. server, 'cron_ids')
    if type(list) == 'string' then lists[#lists + 1] = list end
  end
end
return { rows, lists, NOW_MS }
