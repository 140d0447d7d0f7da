-- needs: clock
-- Tries whether this user may run the commands that GQM needs, on a key that nobody ever sees: it is gone at the end.
--
-- KEYS  1 the key to try on
-- ARGV  1 prefix
-- Returns the names of the commands that the server refuses to this user
local key, refused = KEYS[1], {}

local function try(name, ...)
  local answer = pcall_(name, ...)
  local text = type(answer) == 'table' and answer.err
  if text and (string.find(text, 'ACL', 1, true) or string.find(text, 'NOPERM', 1, true)
      or string.find(text, 'permission', 1, true) or string.find(text, "can't run this command", 1, true)) then
    refused[#refused + 1] = name
    return false
  end
  return true
end

-- Without it nothing may be made that would then stay.
if not try('DEL', key) then return refused end

local function with(...)
  for _, words in ipairs({ ... }) do try(unpack(words)) end
  call('DEL', key)
end

with({ 'HSET', key, 'a', '1', 'b', '2' }, { 'HSETNX', key, 'c', '3' }, { 'HGET', key, 'a' }, { 'HMGET', key, 'a' },
  { 'HGETALL', key }, { 'HEXISTS', key, 'a' }, { 'HKEYS', key }, { 'HLEN', key }, { 'HSTRLEN', key, 'a' },
  { 'HINCRBY', key, 'a', '1' }, { 'HSCAN', key, '0' }, { 'HDEL', key, 'b' }, { 'TYPE', key }, { 'EXPIRE', key, '60' },
  { 'TTL', key }, { 'PTTL', key }, { 'PERSIST', key }, { 'EXISTS', key })
with({ 'LPUSH', key, 'a' }, { 'RPUSH', key, 'b' }, { 'LLEN', key }, { 'LRANGE', key, '0', '0' }, { 'LPOS', key, 'a' },
  { 'LREM', key, '0', 'x' }, { 'LTRIM', key, '0', '9' }, { 'RPOP', key })
with({ 'SADD', key, 'a', 'b' }, { 'SISMEMBER', key, 'a' }, { 'SMISMEMBER', key, 'a' }, { 'SMEMBERS', key },
  { 'SCARD', key }, { 'SRANDMEMBER', key, '1' }, { 'SSCAN', key, '0' }, { 'SREM', key, 'a' })
with({ 'ZADD', key, '1', 'a' }, { 'ZSCORE', key, 'a' }, { 'ZMSCORE', key, 'a' }, { 'ZCARD', key },
  { 'ZCOUNT', key, '0', '1' }, { 'ZRANGE', key, '0', '0' }, { 'ZRANDMEMBER', key, '1' },
  { 'ZREMRANGEBYRANK', key, '5', '6' }, { 'ZREM', key, 'a' })
with({ 'SET', key, '1' }, { 'GET', key }, { 'MGET', key }, { 'INCR', key }, { 'INCRBY', key, '1' }, { 'DECR', key })
with({ 'XADD', key, '*', 'a', '1' }, { 'XLEN', key }, { 'XREVRANGE', key, '+', '-', 'COUNT', '1' })
try('PUBLISH', key, '')
return refused
