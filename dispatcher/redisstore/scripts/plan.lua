-- plan: the heads of the strands of one part of a plan, once. Their batches were written before, with a time to live that ends
-- here; the chunks of a planner that died go away by themselves.
--
-- KEYS  1 warning  2 plan  3 toplan  4 strands  5 generation  6.. carries of each strand's account, then each chunk
-- ARGV  1 prefix  2 id of the warning  3 revision that was read  4 version of the warning  5 figures (JSON)
--       6 how many strands  7 how many parts with this one  8 print of this part  9.. of each strand: head (JSON), account, people, reference of its batches, chunks
-- returns the ids of the strands of all parts, u32 each
-- errors NOTFOUND CHANGED CHUNKS
local planned = redis.call('HMGET', KEYS[2], 'version', 'strands', 'parts', 'print')
local parts, before = tonumber(ARGV[7]), tonumber(planned[3] or 0)
if planned[1] and planned[1] ~= ARGV[4] then
  return redis.error_reply('CHANGED version ' .. planned[1] .. ' of warning ' .. ARGV[2] .. ' is planned')
end
if before == parts and parts > 1 and planned[4] ~= ARGV[8] then
  return redis.error_reply('CHANGED part ' .. parts .. ' of the plan of warning ' .. ARGV[2] .. ' has other people')
end
if before >= parts then return planned[2] end
if before < parts - 1 then
  return redis.error_reply('CHANGED the plan of warning ' .. ARGV[2] .. ' has ' .. before .. ' parts')
end
local w = redis.call('HMGET', KEYS[1], 'rev', 'state')
if not w[1] then return redis.error_reply('NOTFOUND warning ' .. ARGV[2]) end
if w[1] ~= ARGV[3] or tonumber(w[2]) ~= RELEASED then
  return redis.error_reply('CHANGED warning ' .. ARGV[2] .. ' is at revision ' .. w[1] .. ' in state ' .. w[2])
end
local snapshot = cjson.decode(ARGV[5]).snapshot
if redis.call('HEXISTS', ARGV[1] .. 'table:retired', snapshot) == 1 then
  return redis.error_reply('CHANGED snapshot ' .. snapshot .. ' is retired, plan again')
end
local n = tonumber(ARGV[6])
for i = 6 + n, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then return redis.error_reply('CHUNKS are gone, plan again') end
end

for i = 6 + n, #KEYS do redis.call('PERSIST', KEYS[i]) end
local first = redis.call('INCRBY', KEYS[4], n) - n + 1
local ids = {}
for i = 0, n - 1 do
  local id, a = first + i, 9 + i * 5
  redis.call('HSET', strand_key(ARGV[1], id), 'v', 1, 'head', ARGV[a], 'warning', ARGV[2], 'account', ARGV[a + 1],
    'people', ARGV[a + 2], 'granted', 0, 'closed', 0, 'batches', ARGV[a + 3], 'chunks', ARGV[a + 4])
  redis.call('ZADD', KEYS[6 + i], id, id)
  ids[i + 1] = struct.pack('<I4', id)
end
local all = (planned[2] or '') .. table.concat(ids)
redis.call('HSET', KEYS[2], 'v', 1, 'version', ARGV[4], 'figures', ARGV[5], 'strands', all, 'parts', parts, 'print', ARGV[8])
redis.call('SREM', KEYS[3], ARGV[2])
redis.call('INCR', KEYS[5])
return all
