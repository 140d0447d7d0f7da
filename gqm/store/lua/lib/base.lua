-- needs: clock
-- lib/base: key names, guards and conversions that most scripts share.
local LIVE = { ready = 1, scheduled = 1, retry = 1, deferred = 1, processing = 1 }
local TERMINAL = { completed = 1, dead_letter = 1, canceled = 1, stopped = 1, failed = 1 }

-- A stored queue name: a job without one belongs to the default queue.
local function queue_name(text) return text and text ~= '' and text or 'default' end
local function job_key(id) return P .. 'job:' .. id end
local function queue_key(q, part) return P .. 'queue:' .. q .. ':' .. part end
local function claims_of(worker)
  return P .. 'server:' .. (string.match(worker or '', '@([^@]*)$') or '') .. ':claims'
end

-- Seconds with 3 decimals, the form of every due time and deadline.
local function seconds(ms) return string.format('%.3f', ms / 1000) end
-- A whole number from a hash field or argument; text that is none (and false, nil) is the default.
local function whole(text, default)
  if text and #text <= 15 and string.find(text, '^-?%d+$') then return tonumber(text) end
  return default
end

-- Guard for keys that a script only writes: pairs of key and wanted type.
-- Returns an error reply naming the first key of another type, else nil. Call it before the first write.
local function wrong_type(...)
  local pairs_ = { ... }
  for i = 1, #pairs_, 2 do
    local t = call('TYPE', pairs_[i]).ok
    if t ~= 'none' and t ~= pairs_[i + 1] then
      return redis.error_reply('WRONGTYPE_KEY ' .. pairs_[i])
    end
  end
  return nil
end

-- Calls a command with a long argument list in chunks that unpack() can carry.
local function in_chunks(command, key, args, step)
  step = step or 1000
  for from = 1, #args, step do
    call(command, key, unpack(args, from, math.min(from + step - 1, #args)))
  end
end
