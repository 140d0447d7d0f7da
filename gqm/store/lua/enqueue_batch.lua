-- needs: place
-- Enqueues up to 1000 plain jobs into ready lists, all or nothing.
--
-- KEYS  1 queues  2.. one ready list per queue of the batch
-- ARGV  1 prefix  2 number of jobs  3 number of queues, then their names,
--       then per job: id, queue index (1..), nonce ('' for a generated id), type, payload,
--       number of words of more hash fields and values, these words
-- Returns {'ok', n}                     made, or made before by this very call
--         {'duplicate', index, state}   first job whose id is taken (index from 0); nothing written
local jobs, queue_count = tonumber(ARGV[2]), tonumber(ARGV[3])

-- Pass 1: check all, write nothing.
local bad = wrong_type(KEYS[1], 'set')
for i = 1, queue_count do bad = bad or wrong_type(KEYS[1 + i], 'list') end
if bad then return bad end
local items, old = {}, {}
local generated = {}
local at = 4 + queue_count
for i = 1, jobs do
  local id, nonce = ARGV[at], ARGV[at + 2]
  items[i] = at
  at = at + 6 + tonumber(ARGV[at + 5])
  if nonce == '' then
    generated[#generated + 1] = job_key(id)
  else
    local h = pcall_('HMGET', job_key(id), 'status', 'nonce', 'queue')
    if h.err then return redis.error_reply('WRONGTYPE_KEY ' .. job_key(id)) end
    if h[1] and h[1] ~= '' then
      if h[2] == nonce then return { 'ok', jobs } end
      if not TERMINAL[h[1]] then return { 'duplicate', i - 1, h[1] } end
    end
    if call('EXISTS', job_key(id)) == 1 then old[i] = { queue = h[3] } end
  end
end
-- The call is one script, so one generated id that exists proves that all of it was done before.
for from = 1, #generated, 500 do
  if call('EXISTS', unpack(generated, from, math.min(from + 499, #generated))) > 0 then return { 'ok', jobs } end
end

-- Pass 2: write. The first is an HSET: a server that is out of memory refuses the whole call there.
local now_s, now_ms = TIME[1], int(NOW_MS)
local ids = {}
for i = 1, queue_count do ids[i] = {} end
if old[1] then call('HSET', job_key(ARGV[items[1]]), 'id', ARGV[items[1]]) end
for i = 1, jobs do
  local first = items[i]
  local id, queue_index = ARGV[first], tonumber(ARGV[first + 1])
  local q, list = ARGV[3 + queue_index], ids[queue_index]
  local key = job_key(id)
  if old[i] then
    forget_job(id, old[i].queue)
    pcall_('ZREM', P .. 'dag:roots', id)
  end
  call('HSET', key, 'status', 'ready', 'created_at', now_s, 'ready_at_ms', now_ms, 'id', id, 'type', ARGV[first + 3],
    'queue', q, 'payload', ARGV[first + 4], unpack(ARGV, first + 6, first + 5 + tonumber(ARGV[first + 5])))
  list[#list + 1] = id
  changed(id, q, '', 'ready')
end
for i = 1, queue_count do
  in_chunks('LPUSH', KEYS[1 + i], ids[i])
  count(ARGV[3 + i], 'accepted', #ids[i])
end
call('SADD', KEYS[1], unpack(ARGV, 4, 3 + queue_count))
report('enqueue')
return { 'ok', jobs }
