-- needs: recover
-- Recovers claims that no lease answers for, and takes ids out of processing that do not belong there.
--
-- KEYS  1.. processing zset of each queue
-- ARGV  1 prefix  2 slack ms  3 limit of removals and recoveries  4 error text
--       5 default failure_ttl, '' = servers' setting  then the queue names
-- Looked at: per queue the ids whose deadline passed more than the slack ago, and a random sample, so that every id
-- has its turn however many others are there. What is found:
--   no job, or one in another state                 taken out
--   claim of another program                        recovered once its deadline passed more than the slack ago
--   claim of a server with a lease                  left alone, its server answers for it
--   claim of a server without one, in its records   named in `unleased`: reap_server recovers all of them
--   the same, in no record                          as a claim of another program
-- Returns {ready again, dead letters, ids taken out, unleased server ids, more 0|1, broken keys}
local slack_ms, limit, text, failure_default = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local SAMPLE = 50

-- 1. Reads and guards.
local overdue_before = NOW_MS - slack_ms
local leases = {}
local function has_lease(server)
  if leases[server] == nil then leases[server] = pcall_('ZSCORE', P .. 'leases', server) and true or false end
  return leases[server]
end

local lost, strays, found, unleased, unleased_seen, more = {}, {}, 0, {}, {}, 0

local function judge(q, id, score)
  local h = lost_job(id)
  if h[1] ~= 'processing' then
    strays[q] = strays[q] or {}
    table.insert(strays[q], id)
    found = found + 1
    return
  end
  local server = h[2] and string.match(h[3] or '', '@([^@]*)$')
  if server then
    if has_lease(server) then return end
    local record = read_claim(pcall_('HGET', claims_of(h[3]), id))
    if record and record.token == h[2] then
      if not unleased_seen[server] then
        unleased_seen[server] = true
        unleased[#unleased + 1] = server
      end
      return
    end
  end
  if score * 1000 < overdue_before then
    lost[#lost + 1] = { id = id, q = q, worker = h[3], budget = math.max(0, whole(h[9], 3)), h = h }
    found = found + 1
  end
end

local function look(q, key)
  local seen = {}
  local late = call('ZRANGE', key, '-inf', seconds(overdue_before), 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
  local sample = call('ZRANDMEMBER', key, SAMPLE, 'WITHSCORES')
  for _, list in ipairs({ late, sample }) do
    for i = 1, #list, 2 do
      if found >= limit then
        more = 1
        return
      end
      if not seen[list[i]] then
        seen[list[i]] = true
        judge(q, list[i], tonumber(list[i + 1]))
      end
    end
  end
  if #late == 2 * limit and found > 0 then more = 1 end
end

for i = 1, #KEYS do
  if recoverable(ARGV[5 + i]) then look(ARGV[5 + i], KEYS[i]) end
end

-- 2. Writes.
local removed = 0
for q, ids in pairs(strays) do
  in_chunks('ZREM', queue_key(q, 'processing'), ids)
  removed = removed + #ids
end
local again, dead = recover(lost, text, failure_default)
report('reap')
return { again, dead, removed, unleased, more, broken }
