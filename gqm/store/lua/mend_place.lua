-- needs: faults
-- Puts a job's id into the one container that its state names, and takes it out of all others. Where there is no job,
-- the id is taken out everywhere. A record in a state that is none is left alone.
--
-- KEYS  1 job hash
-- ARGV  1 prefix  2 id  then names of further queues in whose containers it was met
-- A job that comes back into `processing` has its deadline now: its holder may settle it, else it is recovered. One
-- that comes back into `scheduled` is due when its record says, a retry now.
-- Returns {number of places that it was taken out of, 1 if it was put where it belongs}
local id = ARGV[2]
local job = look_at(id, { unpack(ARGV, 3) }, true)
if job.wrong then return redis.error_reply('WRONGTYPE_KEY ' .. job.key) end
if job.status and not job.known then return { 0, 0 } end
local bad = job.place and wrong_type(job.place, job.kind)
if bad then return bad end

local taken = 0
local function take(place, copies)
  if place.part == 'ready' then
    -- From the head on: of several copies the one stays that is next to run.
    if call('LLEN', place.key) <= FAR then taken = taken + call('LREM', place.key, copies, id) end
  else
    taken = taken + call(place.part == 'deferred' and 'SREM' or 'ZREM', place.key, id)
  end
end
for _, place in ipairs(job.others) do take(place, 0) end
if job.right and job.right.part == 'ready' and job.right.value > 1 then take(job.right, job.right.value - 1) end
if not job.lost then return { taken, 0 } end

if job.status == 'ready' then
  push_ready(id, job.q, job.front)
elseif job.status == 'deferred' then
  call('SADD', job.place, id)
elseif job.status == 'scheduled' then
  call('ZADD', job.place, int(job.scheduled_at or NOW), id)
elseif LIVE[job.status] then
  call('ZADD', job.place, seconds(NOW_MS), id)
else
  call('ZADD', job.place, int(job.ended_at or NOW), id)
end
return { taken, 1 }
