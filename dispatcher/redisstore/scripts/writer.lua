-- writer: keeps or ends the right to write the directory.
--
-- KEYS  1 writer
-- ARGV  1 who writes  2 for how long (ms), 0 ends it
-- returns 'OK'
-- errors FENCED
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('FENCED somebody else may write the directory') end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.status_reply('OK')
