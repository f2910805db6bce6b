-- beat: moves the heartbeat of an owner.
--
-- KEYS  1 account  2 table of controls  3 generation
-- ARGV  1 name of the account  2 owner  3 epoch
-- returns {generation, control as it is stored}
-- errors FENCED
local a = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if a[1] ~= ARGV[2] or a[2] ~= ARGV[3] then return redis.error_reply('FENCED account ' .. ARGV[1]) end
redis.call('HINCRBY', KEYS[1], 'beat', 1)
return {tonumber(redis.call('GET', KEYS[3]) or 0), redis.call('HGET', KEYS[2], ARGV[1]) or ''}
