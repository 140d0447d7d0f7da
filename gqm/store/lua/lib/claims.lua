-- needs: base
-- lib/claims: the record of one claim in its server's claims hash.

-- Fields of a record as it was read: token, retry budget, claim time in ms, queue. nil if it is none.
local function read_claim(record)
  if type(record) ~= 'string' then return nil end
  local token, budget, ms, q = string.match(record, '^([^|]*)|(%d+)|(%d+)|(.+)$')
  if not token then return nil end
  return { token = token, budget = tonumber(budget), ms = tonumber(ms), q = q }
end

-- Order of claiming: by time, then by the number within one claim call.
local function claimed_before(a, b)
  if a.ms ~= b.ms then return a.ms < b.ms end
  return (tonumber(string.match(a.token, '%d+$')) or 0) < (tonumber(string.match(b.token, '%d+$')) or 0)
end
