-- fold: stores ledger chunks; the last part of a fold also drops the journal entries that they hold.
--
-- KEYS  1 account  2 journal  3.. ledger of each chunk's strand
-- ARGV  1 name of the account  2 owner  3 epoch  4 number of the last entry that is folded  5 '1': drop
--       6.. index and bytes of each chunk
-- returns 'OK'
-- errors FENCED ENTRY
local a = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'entry')
if a[1] ~= ARGV[2] or a[2] ~= ARGV[3] then return redis.error_reply('FENCED account ' .. ARGV[1]) end
local last, folded = tonumber(a[3]), tonumber(ARGV[4])
if folded > last then
  return redis.error_reply('ENTRY ' .. folded .. ' is not in the journal, the last is ' .. last)
end
for i = 3, #KEYS do
  redis.call('HSET', KEYS[i], ARGV[6 + (i - 3) * 2], ARGV[7 + (i - 3) * 2])
end
if ARGV[5] == '1' then
  local keep = last - folded
  if keep == 0 then
    redis.call('DEL', KEYS[2])
  elseif keep < redis.call('LLEN', KEYS[2]) then
    redis.call('LTRIM', KEYS[2], -keep, -1)
  end
end
return redis.status_reply('OK')
