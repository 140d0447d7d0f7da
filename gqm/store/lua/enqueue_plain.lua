-- needs: events
-- Enqueues one job that is ready at once and has a generated id: what producers send most, so nothing is done
-- here that such a job does not need. All others go through enqueue.
--
-- KEYS  1 queues  2 job hash  3 ready list of the queue
-- ARGV  1 prefix  2 id  3 queue  4 type  5 payload  6 front 0|1  then more hash fields and values
-- Returns its state: ready, or the one it has come to when the job was made before by this very call
local queues_key, key, ready_key, id, q = KEYS[1], KEYS[2], KEYS[3], ARGV[2], ARGV[3]

-- Nobody else knows a generated id: a job that is there was made before the answer was lost.
local stub = call('EXISTS', key) == 1
if stub then
  local state = pcall_('HGET', key, 'status')
  if type(state) == 'table' then return redis.error_reply('WRONGTYPE_KEY ' .. key) end
  if state and state ~= '' then return state end
end
local known, length = pcall_('SISMEMBER', queues_key, q), pcall_('LLEN', ready_key)
if type(known) == 'table' then return redis.error_reply('WRONGTYPE_KEY ' .. queues_key) end
if type(length) == 'table' then return redis.error_reply('WRONGTYPE_KEY ' .. ready_key) end

-- The first write is an HSET: a server that is out of memory refuses the whole call there.
if stub then call('DEL', key) end
call('HSET', key, 'status', 'ready', 'created_at', TIME[1], 'ready_at_ms', int(NOW_MS),
  'id', id, 'type', ARGV[4], 'queue', q, 'payload', ARGV[5], unpack(ARGV, 7))
call(ARGV[6] == '1' and 'RPUSH' or 'LPUSH', ready_key, id)
if known == 0 then call('SADD', queues_key, q) end
pcall_('HINCRBY', P .. 'stats:' .. q .. ':ledger', 'accepted', '1')
publish('enqueue', q, 1, { id, '', 'ready' })
return 'ready'
