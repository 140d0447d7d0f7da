-- needs: settle
-- Sends jobs of one queue that failed back to `scheduled` for another run.
--
-- KEYS  1 processing  2 scheduled
-- ARGV  1 prefix  2 queue  then per job: id, token, worker id, delay ms, error, traceback or '',
--       new retry_count or '' (not counted), attempt entry (JSON object without times) or '',
--       flags: letters t (transient), u (no handler here), c (isolated process died), or ''
-- Returns answers: 1 done, 2 done before, 0 not yours
local processing, scheduled = KEYS[1], KEYS[2]
local q = ARGV[2]

local bad = wrong_type(processing, 'zset', scheduled, 'zset')
if bad then return bad end
local items = {}
for at = 3, #ARGV, 9 do
  local item = { id = ARGV[at], token = ARGV[at + 1], worker = ARGV[at + 2], delay = tonumber(ARGV[at + 3]),
    error = ARGV[at + 4], traceback = ARGV[at + 5], counted = ARGV[at + 6], entry = ARGV[at + 7],
    flags = ARGV[at + 8] }
  item.h = pcall_('HMGET', job_key(item.id), 'status', 'claim', 'worker_id', 'settled', 'started_at',
    'transient_since', 'unknown_since', 'traceback')
  items[#items + 1] = item
end
local held = judge(items, processing, 'retry')
if #held == 0 then return answers(items) end

drop(held, processing)
-- What is no time, or lies ahead, would keep a job trying for ever.
local function is_time(text)
  return text and string.find(text, '^%d+$') and tonumber(text) > 0 and tonumber(text) <= NOW
end

local due, first = {}, nil
for _, item in ipairs(held) do
  local key, h = job_key(item.id), item.h
  local at_ms = NOW_MS + item.delay
  local fields = { 'status', 'retry', 'error', item.error, 'settled', item.token .. '/retry' }
  local function set(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  if item.traceback ~= '' then set('traceback', item.traceback) end
  if item.counted ~= '' then set('retry_count', item.counted) end
  if string.find(item.flags, 't', 1, true) and not is_time(h[6]) then set('transient_since', TIME[1]) end
  if string.find(item.flags, 'u', 1, true) and not is_time(h[7]) then set('unknown_since', TIME[1]) end
  call('HSET', key, unpack(fields))
  call('HDEL', key, 'claim')
  if item.traceback == '' and h[8] then call('HDEL', key, 'traceback') end
  if string.find(item.flags, 'c', 1, true) then pcall_('HINCRBY', key, 'crashes', 1) end
  add_attempt(item.id, item.entry, h[5])
  due[#due + 1] = seconds(at_ms)
  due[#due + 1] = item.id
  if not first or at_ms < first then first = at_ms end
  changed(item.id, q, 'processing', 'retry')
end
in_chunks('ZADD', scheduled, due)
count(q, 'retried', #held)
control('{"op":"due","at":' .. seconds(first) .. '}')
report('retry')
return answers(items)
