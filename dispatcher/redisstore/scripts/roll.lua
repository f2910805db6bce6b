-- roll: pages of the roll of a strand. A script and not a command, because it passes at the memory limit: what it makes room
-- for is larger.
--
-- It keeps what is there of a warning that is archived: whoever still writes then no longer had all ledgers to read.
--
-- KEYS  1 roll  2 plan
-- ARGV  index and version byte and page, for each
-- returns 'OK'
if redis.call('HEXISTS', KEYS[2], 'archived') == 1 then return redis.status_reply('OK') end
for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return redis.status_reply('OK')
