-- release: ends an ownership. Repeated by the same owner it changes nothing.
--
-- KEYS  1 account
-- ARGV  1 name of the account  2 owner  3 epoch
-- returns 'OK'
-- errors FENCED
local a = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if a[2] ~= ARGV[3] or a[1] ~= '' and a[1] ~= ARGV[2] then
  return redis.error_reply('FENCED account ' .. ARGV[1])
end
if a[1] ~= '' then redis.call('HSET', KEYS[1], 'owner', '') end
return redis.status_reply('OK')
