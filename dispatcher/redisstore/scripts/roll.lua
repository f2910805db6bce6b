-- roll: pages of the roll of a strand. A script and not a command, because it passes at the memory limit: what it makes room
-- for is larger.
--
-- KEYS  1 roll
-- ARGV  index and version byte and page, for each
-- returns 'OK'
for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return redis.status_reply('OK')
