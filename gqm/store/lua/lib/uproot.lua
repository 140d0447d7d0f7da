-- needs: family heirs
-- lib/uproot: taking jobs out of wherever they are, one at a time, in any state.

-- Longest ready list that is searched for an id. In a longer one a stale id stays, and claim passes over it.
local MAX_SEARCH = 100000

-- Key and type of the container that a state names; nil for a state that has none.
local function container_of(status, q)
  if status == 'ready' then return queue_key(q, 'ready'), 'list' end
  if status == 'processing' then return queue_key(q, 'processing'), 'zset' end
  if status == 'scheduled' or status == 'retry' then return P .. 'scheduled', 'zset' end
  if status == 'deferred' then return P .. 'deferred', 'set' end
  if status == 'completed' or status == 'dead_letter' then return queue_key(q, status), 'zset' end
  if status == 'canceled' or status == 'stopped' then return queue_key(q, 'canceled'), 'zset' end
  return nil
end

-- Takes an id out of the container of its state, a running one out of its holder's claims as well. The caller has
-- checked the container's type.
local function take_out(id, status, q, worker)
  local key, kind = container_of(status, q)
  if kind == 'list' then
    if call('LLEN', key) <= MAX_SEARCH then call('LREM', key, 0, id) end
  elseif kind then
    call(kind == 'zset' and 'ZREM' or 'SREM', key, id)
  end
  if status == 'processing' then
    pcall_('HDEL', claims_of(worker), id)
    call('HDEL', job_key(id), 'claim')
  end
end

-- Ends a live job as `to` (canceled or stopped) and tells its handler to stop, if it runs. h: status, queue,
-- failure_ttl, claim, worker_id. The caller has checked the containers, and tells the children afterwards.
-- Returns the id of the server whose handler is told, '' if there is none.
local function end_live(id, h, to, reason, failure_default)
  local status, q, token, worker = h[1], queue_name(h[2]), h[4], h[5] or ''
  take_out(id, status, q, worker)
  local server = status == 'processing' and token and string.match(worker, '@([^@]*)$') or ''
  if server ~= '' then
    control('{"op":"cancel","id":' .. cjson.encode(id) .. ',"claim":' .. cjson.encode(token) .. ',"sid":'
      .. cjson.encode(server) .. '}')
  end
  end_unrun(id, q, status, to, reason, h[3], failure_default)
  return server
end

-- Deletes jobs that are in no container any more, with all their keys: items {id, q}. Descendants that have lost
-- their last kept parent become roots of their graphs.
local function delete_jobs(items)
  local keys, gone = {}, {}
  for _, item in ipairs(items) do
    keys[#keys + 1] = job_key(item[1]) .. ':children'
    gone[item[1]] = true
  end
  local heirs, seen = {}, {}
  if #keys > 0 and call('EXISTS', unpack(keys)) > 0 then
    for _, item in ipairs(items) do add_heirs(item[1], gone, seen, heirs) end
  end
  for _, item in ipairs(items) do
    forget_job(item[1], item[2])
    pcall_('ZREM', P .. 'dag:roots', item[1])
  end
  for i = 1, #heirs, 2 do pcall_('ZADD', P .. 'dag:roots', 'NX', heirs[i], heirs[i + 1]) end
end
