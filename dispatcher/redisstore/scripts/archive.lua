-- archive: keeps the report of a warning in place of its strands.
--
-- KEYS  1 plan
-- ARGV  1 id of the warning  2 version byte and report
-- returns 'OK'
-- errors NOTFOUND
if redis.call('EXISTS', KEYS[1]) == 0 then return redis.error_reply('NOTFOUND plan of warning ' .. ARGV[1]) end
redis.call('HSETNX', KEYS[1], 'archived', ARGV[2])
return redis.status_reply('OK')
