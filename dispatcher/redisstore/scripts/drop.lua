-- drop: removes pieces of a retired snapshot that no other names, and with the last of them the snapshot.
--
-- KEYS  1 writer  2 table of snapshots  3 table of retired snapshots  4.. pieces
-- ARGV  1 who writes  2 id of the snapshot  3 its id as it is stored  4 '1': the last
-- returns 'OK'
-- errors FENCED CHANGED
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('FENCED somebody else may write the directory') end
if redis.call('HGET', KEYS[2], 'newest') == ARGV[3] or redis.call('HEXISTS', KEYS[3], ARGV[2]) == 0 then
  return redis.error_reply('CHANGED snapshot ' .. ARGV[2] .. ' is in use')
end
for i = 4, #KEYS do redis.call('UNLINK', KEYS[i]) end
if ARGV[4] == '1' then redis.call('HDEL', KEYS[2], ARGV[2]) end
return redis.status_reply('OK')
