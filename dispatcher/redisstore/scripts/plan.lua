-- plan: the heads of the strands of one part of a plan, once. Their batches were written before, with a time to live that ends
-- here; the chunks of a planner that died go away by themselves.
--
-- KEYS  1 warning  2 plan  3 toplan  4 strands  5 generation  6.. carries of each strand's account, then each chunk
-- ARGV  1 prefix  2 id of the warning  3 revision that was read  4 version of the warning  5 figures (JSON)
--       6 how many strands  7 how many parts with this one  8 print of this part  9.. of each strand: head (JSON), account,
--       people, reference of its batches, chunks, id '0' or of the strand that grows, people that this one has before,
--       batches behind the chunks
-- returns '1', or '0' where this part was there already; then the ids of the strands of all parts, u32 each
-- errors NOTFOUND CHANGED CHUNKS
local planned = redis.call('HMGET', KEYS[2], 'version', 'strands', 'parts', 'print', 'archived')
local parts, before = tonumber(ARGV[7]), tonumber(planned[3] or 0)
if planned[1] and planned[1] ~= ARGV[4] then
  return redis.error_reply('CHANGED version ' .. planned[1] .. ' of warning ' .. ARGV[2] .. ' is planned')
end
if before == parts and parts > 1 and planned[4] ~= ARGV[8] then
  return redis.error_reply('CHANGED part ' .. parts .. ' of the plan of warning ' .. ARGV[2] .. ' has other people')
end
if before > parts and parts > 1 then -- it may be the caller's own, or another's of that number: who calls reads again
  return redis.error_reply('CHANGED the plan of warning ' .. ARGV[2] .. ' has ' .. before .. ' parts')
end
if before >= parts then return '0' .. planned[2] end
if before < parts - 1 then
  return redis.error_reply('CHANGED the plan of warning ' .. ARGV[2] .. ' has ' .. before .. ' parts')
end
local w = redis.call('HMGET', KEYS[1], 'rev', 'state')
if not w[1] then return redis.error_reply('NOTFOUND warning ' .. ARGV[2]) end
if w[1] ~= ARGV[3] or tonumber(w[2]) ~= RELEASED then
  return redis.error_reply('CHANGED warning ' .. ARGV[2] .. ' is at revision ' .. w[1] .. ' in state ' .. w[2])
end
if planned[5] then return redis.error_reply('CHANGED warning ' .. ARGV[2] .. ' is archived') end
local function retired(json)
  local snapshot = cjson.decode(json).snapshot
  return redis.call('HEXISTS', ARGV[1] .. 'table:retired', snapshot) == 1
    and redis.error_reply('CHANGED snapshot ' .. snapshot .. ' is retired, plan again')
end
local refused = retired(ARGV[5])
if refused then return refused end
local n, new = tonumber(ARGV[6]), 0
for i = 0, n - 1 do
  local a = 9 + i * 8
  local id = ARGV[a + 5]
  if id == '0' then
    new = new + 1
    refused = retired(ARGV[a])
    if refused then return refused end
  else
    local st = redis.call('HMGET', strand_key(ARGV[1], id), 'warning', 'account', 'people', 'closed')
    if st[1] ~= ARGV[2] or st[2] ~= ARGV[a + 1] or st[3] ~= ARGV[a + 6] or st[4] ~= '0' then
      return redis.error_reply('CHANGED strand ' .. id .. ' has ' .. tostring(st[3]) .. ' people, or is closed')
    end
  end
end
for i = 6 + n, #KEYS, 1000 do
  local last = math.min(i + 999, #KEYS)
  if redis.call('EXISTS', unpack(KEYS, i, last)) <= last - i then return redis.error_reply('CHUNKS are gone, plan again') end
end

for i = 6 + n, #KEYS do redis.call('PERSIST', KEYS[i]) end
local generation = redis.call('INCR', KEYS[5])
local next = redis.call('INCRBY', KEYS[4], new) - new
local ids = {}
for i = 0, n - 1 do
  local a = 9 + i * 8
  local id = ARGV[a + 5]
  if id == '0' then
    next = next + 1
    id = next
    redis.call('HSET', strand_key(ARGV[1], id), 'v', 1, 'head', ARGV[a], 'warning', ARGV[2], 'account', ARGV[a + 1],
      'people', ARGV[a + 2], 'granted', 0, 'closed', 0, 'batches', ARGV[a + 3], 'chunks', ARGV[a + 4])
    ids[#ids + 1] = struct.pack('<I4', id)
  else
    redis.call('HSET', strand_key(ARGV[1], id), 'people', ARGV[a + 2])
  end
  if ARGV[a + 7] ~= '' then
    local more = more_key(ARGV[1], id)
    if redis.call('EXISTS', more) == 0 then redis.call('APPEND', more, string.char(1)) end
    redis.call('APPEND', more, ARGV[a + 7])
  end
  redis.call('ZADD', KEYS[6 + i], generation, id)
end
local all = (planned[2] or '') .. table.concat(ids)
redis.call('HSET', KEYS[2], 'v', 1, 'version', ARGV[4], 'figures', ARGV[5], 'strands', all, 'parts', parts, 'print', ARGV[8])
redis.call('SREM', KEYS[3], ARGV[2])
return '1' .. all
