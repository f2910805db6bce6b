-- archive: takes the strands of a warning from their accounts and keeps its report.
--
-- Besides KEYS it uses the hashes of the strands of the plan and what their accounts carry (same hash tag, same slot).
-- KEYS  1 plan
-- ARGV  1 prefix  2 id of the warning  3 version byte and report
-- returns 'OK'
-- errors NOTFOUND
local plan = redis.call('HMGET', KEYS[1], 'strands', 'archived')
if not plan[1] then return redis.error_reply('NOTFOUND plan of warning ' .. ARGV[2]) end
if plan[2] then return redis.status_reply('OK') end
for i = 1, #plan[1], 4 do
  local id = struct.unpack('<I4', plan[1], i)
  redis.call('ZREM', carries_key(ARGV[1], redis.call('HGET', strand_key(ARGV[1], id), 'account')), id)
end
redis.call('HSET', KEYS[1], 'archived', ARGV[3])
return redis.status_reply('OK')
