-- fold: stores ledger chunks; the last part of a fold also drops the journal entries that they hold.
--
-- Besides KEYS it uses the hash and the ledger of each strand that it is given (same hash tag, same slot).
-- KEYS  1 account  2 journal
-- ARGV  1 prefix  2 name of the account  3 owner  4 epoch  5 number of the last entry that is folded  6 '1': drop
--       7.. strand, index and bytes of each chunk
-- returns 'OK'
-- errors FENCED ENTRY NOTFOUND
local prefix, name, folded = ARGV[1], ARGV[2], tonumber(ARGV[5])
local a = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'entry')
if a[1] ~= ARGV[3] or a[2] ~= ARGV[4] then return redis.error_reply('FENCED account ' .. name) end
local last = tonumber(a[3])
if folded > last then
  return redis.error_reply('ENTRY ' .. folded .. ' is not in the journal, the last is ' .. last)
end
local known = {}
for i = 7, #ARGV, 3 do
  local id = ARGV[i]
  known[id] = known[id] or redis.call('HGET', strand_key(prefix, id), 'account') == name
  if not known[id] then return redis.error_reply('NOTFOUND strand ' .. id .. ' of account ' .. name) end
end

for i = 7, #ARGV, 3 do
  redis.call('HSET', ledger_key(prefix, ARGV[i]), ARGV[i + 1], ARGV[i + 2])
end
if ARGV[6] == '1' then
  local keep = last - folded
  if keep == 0 then
    redis.call('DEL', KEYS[2])
  elseif keep < redis.call('LLEN', KEYS[2]) then
    redis.call('LTRIM', KEYS[2], -keep, -1)
  end
end
return redis.status_reply('OK')
