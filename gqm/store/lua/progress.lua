-- needs: base
-- Stores how far a running job is, if the caller still holds it.
--
-- KEYS  1 job hash
-- ARGV  1 prefix  2 token  3 worker id  4 progress as JSON
-- Returns 1 stored, 0 not the caller's job any more
local h = pcall_('HMGET', KEYS[1], 'status', 'claim', 'worker_id')
if h[1] ~= 'processing' or h[2] ~= ARGV[2] or h[3] ~= ARGV[3] then return 0 end
call('HSET', KEYS[1], 'progress', ARGV[4])
return 1
