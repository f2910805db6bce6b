-- delete: removes a warning from all lists, and notes that what it leaves behind is to be purged.
--
-- KEYS  1 warning  2 warnings  3 live warnings with its content  4 toplan  5 plan  6 record  7 recorded  8 deleted
--       9.. the table of each field
-- ARGV  1 id  2 the states in which it may be, ' 5 6 ' and so on  3 entry for the record without its opening brace
--       4.. each field
-- returns 'OK'
-- errors CHANGED
local id, state = ARGV[1], redis.call('HGET', KEYS[1], 'state')
if not state then return redis.status_reply('OK') end
if not string.find(ARGV[2], ' ' .. state .. ' ', 1, true) then
  return redis.error_reply('CHANGED warning ' .. id .. ' is in state ' .. state)
end
if redis.call('EXISTS', KEYS[5]) == 1 and redis.call('HEXISTS', KEYS[5], 'archived') == 0 then
  return redis.error_reply('CHANGED warning ' .. id .. ' is not archived')
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], '00:' .. id, string.format('%02d:%s', state, id))
redis.call('HDEL', KEYS[3], id)
redis.call('SREM', KEYS[4], id)
for i = 9, #KEYS do redis.call('HDEL', KEYS[i], ARGV[i - 5]) end
redis.call('RPUSH', KEYS[6], '{"v":1,"number":' .. redis.call('INCR', KEYS[7]) .. ',' .. ARGV[3])
redis.call('SADD', KEYS[8], id)
return redis.status_reply('OK')
