-- needs: clock
-- lib/events: the one message by which a script call tells what it changed.

-- At most 100 messages a second for one key space, then a single "overflow": readers reload anyway.
-- n jobs changed; changes holds id, old and new state of the first of them in turn, '' = the job is new.
local function publish(op, q, n, changes)
  local rate = P .. 'events:rate'
  local sent = pcall_('INCR', rate)
  if type(sent) ~= 'number' or sent > 101 then return end
  if sent == 1 then call('EXPIRE', rate, 1) end
  local message = '{"v":1,"t":' .. int(NOW_MS) .. ',"op":"'
  if sent == 101 then
    pcall_('PUBLISH', P .. 'events', message .. 'overflow"}')
    return
  end
  local list = {}
  for i = 1, #changes, 3 do
    list[#list + 1] = '[' .. cjson.encode(changes[i]) .. ',"' .. changes[i + 1] .. '","' .. changes[i + 2] .. '"]'
  end
  pcall_('PUBLISH', P .. 'events', message .. op .. '","queue":' .. cjson.encode(q) .. ',"n":' .. n
    .. ',"ch":[' .. table.concat(list, ',') .. ']}')
end
