-- needs: settle claims
-- A server says that it lives: renews its lease and its records, learns which claims it lost, gives back those it
-- does not know of, and hears of servers whose lease runs out.
--
-- KEYS  1 leases  2 claims hash of the server  3 server hash  4 servers  5 workers  then one worker hash per pool
-- ARGV  1 prefix  2 server id  3 lease_ttl ms  4 uptime s  5 number of field words, then the server's fields
--       then per pool: worker id, number of field words, fields  then per active claim: job id, token
-- Active are all claims that the process still answers for, finished ones that are not settled included. Jobs that
-- run for more than 5 s get last_heartbeat. Claims that are older than 10 s and not active go back to the front of
-- their queues as never started: their claim call's answer was lost.
-- Returns {new 0|1, lost, returned ids, late, same host, server time in unix ms}
--   new        there was no lease: first beat, or others have recovered the claims
--   lost       job id, token of each active claim that is not held any more
--   late       server id, score of each other server with less than 0.4 of a lease left
--   same host  id, score, host_id, pid, proc_start of each other server whose id begins with this one's host name
local leases, claims, server_key, servers, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local server, lease_ms, uptime = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local LATE, LEASE, ORPHAN_MS, LONG_S = 0.4, 0.8, 10000, 5

-- 1. Reads and guards.
local bad = wrong_type(leases, 'zset', claims, 'hash', server_key, 'hash', servers, 'set', workers, 'set')
local records = {} -- of this server and its pools: key, position of the first field word, of the last
local at = 6 + tonumber(ARGV[5])
records[1] = { server_key, 6, at - 1 }
for i = 6, #KEYS do
  bad = bad or wrong_type(KEYS[i], 'hash')
  local words = tonumber(ARGV[at + 1])
  records[#records + 1] = { KEYS[i], at + 2, at + 1 + words, ARGV[at] }
  at = at + 2 + words
end
if bad then return bad end

local is_new = not call('ZSCORE', leases, server)
local others = call('ZRANGE', leases, 0, -1, 'WITHSCORES')
local records_found, token_of_record = call('HGETALL', claims), {}

-- Sets item.held of each {id, token}: true if its hash and the processing zset of its queue say so, nil if not,
-- 'unknown' if the zset has a wrong type.
local suffix = '@' .. server
local function weigh(pairs_)
  local by_queue = {}
  for _, item in ipairs(pairs_) do
    local h = pcall_('HMGET', job_key(item.id), 'status', 'claim', 'worker_id', 'queue', 'started_at')
    if h[1] == 'processing' and h[2] == item.token and string.sub(h[3] or '', -#suffix) == suffix then
      item.h, item.q, item.worker = h, queue_name(h[4]), h[3]
      by_queue[item.q] = by_queue[item.q] or {}
      table.insert(by_queue[item.q], item)
    end
  end
  for q, items in pairs(by_queue) do
    for from = 1, #items, 1000 do
      local ids = {}
      for i = from, math.min(from + 999, #items) do ids[#ids + 1] = items[i].id end
      local scores = pcall_('ZMSCORE', queue_key(q, 'processing'), unpack(ids))
      for i = 1, #ids do items[from + i - 1].held = scores.err and 'unknown' or scores[i] and true or nil end
    end
  end
end

local active, answered_for = {}, {}
for i = at, #ARGV, 2 do
  active[#active + 1] = { id = ARGV[i], token = ARGV[i + 1] }
  answered_for[ARGV[i] .. '|' .. ARGV[i + 1]] = true
end
weigh(active)

-- A record that no active claim stands for: an orphan if the job still carries its token, else a leftover.
local orphans, leftovers = {}, {}
for i = 1, #records_found, 2 do
  local id, token = records_found[i], string.match(records_found[i + 1], '^[^|]*')
  token_of_record[id] = token
  if not answered_for[id .. '|' .. token] then
    local record = read_claim(records_found[i + 1])
    if not record then
      leftovers[#leftovers + 1] = id
    elseif NOW_MS - record.ms > ORPHAN_MS then
      orphans[#orphans + 1] = { id = id, token = token, ms = record.ms }
    end
  end
end
weigh(orphans)
table.sort(orphans, claimed_before)

-- 2. Writes. The first is a ZREM: a server that is out of memory lets the call through there.
call('ZREM', leases, server)
call('ZADD', leases, seconds(NOW_MS + LEASE * lease_ms), server)
call('SADD', servers, server)
local keep_s = math.max(60, math.ceil(lease_ms / 1000))
local now_ns = TIME[1] .. string.format('%06d', TIME[2]) .. '000'
for i, record in ipairs(records) do
  local key, first, last, worker = record[1], record[2], record[3], record[4]
  call('HSET', key, 'last_heartbeat', i == 1 and NOW or now_ns, unpack(ARGV, first, last))
  call('HSETNX', key, 'started_at', NOW - uptime)
  call('EXPIRE', key, keep_s)
  if worker then call('SADD', workers, worker) end
end

local lost = {}
for _, item in ipairs(active) do
  if not item.held then
    lost[#lost + 1] = item.id
    lost[#lost + 1] = item.token
    if token_of_record[item.id] == item.token then leftovers[#leftovers + 1] = item.id end
  elseif NOW - whole(item.h[5], NOW) > LONG_S then
    call('HSET', job_key(item.id), 'last_heartbeat', now_ns)
  end
end

local returned, by_queue = {}, {}
for _, item in ipairs(orphans) do
  if not item.held then
    leftovers[#leftovers + 1] = item.id
  elseif item.held == true and can_push(item.q) then
    by_queue[item.q] = by_queue[item.q] or {}
    table.insert(by_queue[item.q], item)
    returned[#returned + 1] = item.id
  end
end
for q, items in pairs(by_queue) do hand_back(items, q, queue_key(q, 'processing'), queue_key(q, 'ready')) end
if #leftovers > 0 then in_chunks('HDEL', claims, leftovers) end
report('heartbeat')

local late, same_host = {}, {}
local late_before = NOW_MS + LATE * lease_ms
local host = string.match(server, '^(.*%-)%d+%-%x+$')
for i = 1, #others, 2 do
  local id, score = others[i], others[i + 1]
  if id ~= server then
    if tonumber(score) * 1000 < late_before then
      late[#late + 1] = id
      late[#late + 1] = score
    end
    if host and string.sub(id, 1, #host) == host and string.find(id, '^%d+%-%x+$', #host + 1) then
      local h = pcall_('HMGET', P .. 'server:' .. id, 'host_id', 'pid', 'proc_start')
      if h[1] then
        local n = #same_host
        same_host[n + 1], same_host[n + 2] = id, score
        same_host[n + 3], same_host[n + 4], same_host[n + 5] = h[1], h[2] or '', h[3] or ''
      end
    end
  end
end
return { is_new and 1 or 0, lost, returned, late, same_host, NOW_MS }
