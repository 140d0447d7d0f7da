-- needs: uproot
-- Handles one slot of a cron entry: makes its job, or skips the slot because an earlier job still lives. A manual
-- trigger makes a job whatever the slots, the overlap policy and the lock say, and leaves the entry as it is.
--
-- KEYS  1 cron:entries  2 cron:slots  3 history  4 current  5 active  6 lock
-- ARGV  1 prefix  2 entry id  3 slot (unix s)  4 manual 0|1  5 expected JSON  6 JSON if fired  7 JSON if skipped
--       8 policy skip|allow|replace  9 default failure_ttl, '' = servers' setting  10 job id  11 queue
--       then the hash fields and values of the job
-- Returns the outcome, the server time in unix ms, and then
--   {'fired', …, ids of the jobs that were stopped for it}  also when this very call made the job before
--   {'skipped', …, id of a job that lives}                  no id when this very call skipped the slot before
--   {'done', …, last handled slot, JSON}                    others have handled the slot
--   {'changed', …, JSON}                                    what stands there instead, '' = nothing
--   {'locked', …}                                           a scheduler of another program is at it
--   {'early', …}                                            the slot is still ahead
--   {'more', …, ids of the jobs that were stopped}          more are to be stopped before it fires: call again
-- Only 'fired', 'skipped' and 'more' have written anything.
local entries, slots, history, current, active = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local entry, slot, manual, expected = ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5]
local policy = manual and 'allow' or ARGV[8]
local failure_default, id, q = ARGV[9], ARGV[10], ARGV[11]
local MAX_STOP, SAMPLE, HISTORY = 500, 200, 1000

-- 1. Reads and guards.
local bad = wrong_type(entries, 'hash', slots, 'hash', history, 'zset', current, 'string', active, 'set',
  KEYS[6], 'string', P .. 'queues', 'set', queue_key(q, 'ready'), 'list')
if bad then return bad end
if call('ZSCORE', history, id) then return { 'fired', NOW_MS } end
local stored = call('HGET', entries, entry) or ''
if not manual then
  local handled = call('HGET', slots, entry)
  if handled == slot and stored == ARGV[7] then return { 'skipped', NOW_MS } end
  if whole(handled, -1) >= tonumber(slot) then return { 'done', NOW_MS, handled, stored } end
end
if stored == '' or stored ~= expected then return { 'changed', NOW_MS, stored } end
if not manual then
  if tonumber(slot) > NOW then return { 'early', NOW_MS } end
  if call('EXISTS', KEYS[6]) == 1 then return { 'locked', NOW_MS } end
end

-- The entry's jobs. Where all may live side by side, a sample is enough to keep the set of them small.
local members = policy == 'allow' and call('SRANDMEMBER', active, SAMPLE) or call('SMEMBERS', active)
local newest = policy ~= 'allow' and call('GET', current)
if newest and call('SISMEMBER', active, newest) == 0 then members[#members + 1] = newest end
local live, ended = {}, {}
for _, member in ipairs(members) do
  local h = pcall_('HMGET', job_key(member), 'status', 'queue', 'failure_ttl', 'claim', 'worker_id')
  if LIVE[h[1]] then
    live[#live + 1] = { member, h }
    if policy == 'skip' then break end
  else
    ended[#ended + 1] = member
  end
end
local replaced = policy == 'replace' and live or {}
local more = #replaced > MAX_STOP
for n = 1, math.min(#replaced, MAX_STOP) do
  local h = replaced[n][2]
  local place, kind = container_of(h[1], queue_name(h[2]))
  bad = bad or wrong_type(place, kind, queue_key(queue_name(h[2]), 'canceled'), 'zset')
end
if bad then return bad end

-- 2. Writes. The first is an HSET: a server that is out of memory refuses the whole call there.
if policy == 'skip' and live[1] then
  call('HSET', entries, entry, ARGV[7])
  call('HSET', slots, entry, slot)
  if #ended > 0 then in_chunks('SREM', active, ended) end
  return { 'skipped', NOW_MS, live[1][1] }
end
if not more then
  if not manual then
    call('HSET', entries, entry, ARGV[6])
    call('HSET', slots, entry, slot)
  end
  make_job(id, q, 'ready', 12)
  push_ready(id, q, false)
end

local stopped, parents = {}, {}
for n = 1, math.min(#replaced, MAX_STOP) do
  local old = replaced[n][1]
  end_live(old, replaced[n][2], 'stopped', 'replaced by job ' .. id, failure_default)
  stopped[n], parents[n] = old, { old, false }
  ended[#ended + 1] = old
end
tell_children(parents, failure_default)
if #ended > 0 then in_chunks('SREM', active, ended) end
if not more then
  call('ZADD', history, NOW, id)
  call('ZREMRANGEBYRANK', history, 0, -HISTORY - 1)
  call('SET', current, id)
  call('SADD', active, id)
end
report('cron')
return { more and 'more' or 'fired', NOW_MS, unpack(stopped) }
