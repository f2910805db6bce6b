-- acquire: makes somebody the owner of an account, with an epoch above all before.
--
-- KEYS  1 account
-- ARGV  1 name of the account  2 owner  3 floor of the epoch  4 beat that was seen to stand still for a lease
--       5 '1': the owner of this very name is dead, if it has no higher epoch than the floor
-- returns the epoch
-- errors FENCED
local a = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'beat', 'entry')
if a[1] and a[1] ~= '' and a[3] ~= ARGV[4] and not (ARGV[5] == '1' and a[1] == ARGV[2] and tonumber(a[2]) <= tonumber(ARGV[3])) then
  return redis.error_reply('FENCED account ' .. ARGV[1] .. ' belongs to ' .. a[1])
end
local epoch = math.max(tonumber(a[2] or 0), tonumber(ARGV[3])) + 1
-- The beat never starts anew, so that one seen of an earlier owner fits no later one.
redis.call('HSET', KEYS[1], 'v', 1, 'owner', ARGV[2], 'epoch', epoch, 'beat', tonumber(a[3] or 0) + 1,
  'seq', 0, 'answer', '', 'entry', a[4] or 0, 'obeyed', 0)
return epoch
