-- needs: base events
-- lib/report: counters and change events of one script call, written once at its end by report().
-- Names: accepted, requeued, processed, dead, canceled, deleted (ledger) and
-- claimed, retried, skipped, wait_ms, run_ms (minute hash only).
local LEDGER = { accepted = 1, requeued = 1, processed = 1, dead = 1, canceled = 1, deleted = 1 }
local MINUTE = {
  claimed = 'claimed', processed = 'processed', dead = 'failed', retried = 'retried',
  skipped = 'skipped', wait_ms = 'wait_ms', run_ms = 'run_ms',
}
local DAILY = { processed = 'processed', dead = 'failed' }

local tally = {}
local changes, change_count, change_queue = {}, 0, nil

local function count(q, name, n)
  local names = tally[q]
  if not names then
    names = {}
    tally[q] = names
  end
  names[name] = (names[name] or 0) + (n or 1)
end

-- One job moved: remembered for the event message (the first 20 of a call by name).
local function changed(id, q, from, to)
  change_count = change_count + 1
  change_queue = change_queue or q
  if change_count <= 20 then
    local at = 3 * change_count
    changes[at - 2], changes[at - 1], changes[at] = id, from or '', to
  end
end

-- UTC day YYYY-MM-DD of a unix second (civil-from-days over 400-year eras; scripts have no os.date).
local function utc_day(s)
  local z = math.floor(s / 86400) + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local d = doy - math.floor((153 * mp + 2) / 5) + 1
  local m = mp < 10 and mp + 3 or mp - 9
  local y = yoe + era * 400 + (m <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02d', y, m, d)
end

-- Counting comes after the change it counts: a counter key of a wrong type must not make that look failed.
local function write_counters()
  local minute = math.floor(NOW / 60)
  local day
  for q, names in pairs(tally) do
    local minute_key = P .. 'stats:' .. q .. ':minute:' .. int(minute)
    local fresh = false
    for name, n in pairs(names) do
      if n ~= 0 then
        if MINUTE[name] then
          fresh = pcall_('HINCRBY', minute_key, MINUTE[name], n) == n or fresh
        end
        if LEDGER[name] then
          pcall_('HINCRBY', P .. 'stats:' .. q .. ':ledger', name, n)
        end
        if DAILY[name] then
          day = day or utc_day(NOW)
          local key = P .. 'stats:' .. q .. ':' .. DAILY[name]
          pcall_('INCRBY', key .. ':' .. day, n)
          call('EXPIRE', key .. ':' .. day, 7776000)
          pcall_('INCRBY', key .. '_total', n)
        end
      end
    end
    if fresh then call('EXPIRE', minute_key, 10800) end
  end
end

local function report(op)
  write_counters()
  if change_count > 0 then publish(op, change_queue, change_count, changes) end
end

-- A hint on the control channel; a lost one costs time only.
local function control(json)
  pcall_('PUBLISH', P .. 'control', json)
end
