-- needs: clock
-- Gives a key that should expire, and never would, its time.
--
-- KEYS  1 the key
-- ARGV  1 prefix  2 seconds
-- Returns 1 it expires now, 0 it did, or is gone
if call('TTL', KEYS[1]) ~= -1 then return 0 end
return call('EXPIRE', KEYS[1], ARGV[2])
