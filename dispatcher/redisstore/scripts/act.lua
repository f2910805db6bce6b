-- act: one change that a person or the engine makes, all of it or nothing.
--
-- KEYS  1 stored answer  2 warning  3 warnings  4 live warnings with its content  5 toplan  6 record  7 recorded
--       8 generation  9 answers of the warning  10 plan of the warning  11 fenced account  12 another warning
--       13.. the table of each put
-- ARGV  1 '1': the act has a key of idempotency  2 digest of the request  3 answer
--       4 entry for the record without its opening brace, '' for none  5 '1': raises the generation
--       6 id, '' for no warning  7 revision that was read  8 state, two digits  9 end of validity (ms)
--       10 digest of the warning  11 record  12 '1': live  13 'add', 'keep' or 'drop' in toplan
--       14 '1': must be unique  15 now (ms)  16 parts that the plan must have, 0: any
--       17 owner of the fenced account, '' for none  18 its epoch
--       19 id of the other warning, '' for none  20 the state in which it must be
--       21.. field and value of each put, '' removes it; what it must be, '' for not there, or '*' for whatever it is
-- returns {1 when the act was done before, answer, generation, number of the entry}
-- errors OTHERUSE CHANGED NOTFOUND FROZEN SAME FENCED
local keyed, digest, answer, entry = ARGV[1] == '1', ARGV[2], ARGV[3], ARGV[4]
local id, rev, state, expires = ARGV[6], tonumber(ARGV[7]), ARGV[8], ARGV[9]

if keyed then
  local r = redis.call('HMGET', KEYS[1], 'digest', 'answer', 'generation', 'number')
  if r[1] then
    if r[1] ~= digest then return redis.error_reply('OTHERUSE the key was used with other content') end
    return {1, r[2], tonumber(r[3]), tonumber(r[4])}
  end
end

local before
if id ~= '' then
  local old = redis.call('HMGET', KEYS[2], 'rev', 'state', 'digest')
  local stored = tonumber(old[1] or 0)
  if stored == 0 and rev ~= 0 then return redis.error_reply('NOTFOUND warning ' .. id) end
  if stored ~= rev then
    return redis.error_reply('CHANGED warning ' .. id .. ' is at revision ' .. stored .. ', read was ' .. rev)
  end
  if old[3] and old[3] ~= ARGV[10] then
    return redis.error_reply('FROZEN warning ' .. id .. ' has another digest: what was submitted never changes')
  end
  before = old[2]
end
if ARGV[19] ~= '' and redis.call('HGET', KEYS[12], 'state') ~= ARGV[20] then
  return redis.error_reply('CHANGED warning ' .. ARGV[19] .. ' is not in state ' .. ARGV[20])
end
local parts = redis.call('HGET', KEYS[10], 'parts')
if ARGV[16] ~= '0' and parts ~= ARGV[16] then
  return redis.error_reply('CHANGED the plan of warning ' .. id .. ' has ' .. tostring(parts) .. ' parts, read were ' .. ARGV[16])
end
if ARGV[14] == '1' then
  local live = redis.call('HGETALL', KEYS[4])
  for i = 1, #live, 2 do
    if live[i] ~= id and tonumber(live[i + 1]) > tonumber(ARGV[15]) then
      return redis.error_reply('SAME warning ' .. live[i])
    end
  end
end

if ARGV[17] ~= '' then
  local a = redis.call('HMGET', KEYS[11], 'owner', 'epoch')
  if a[1] ~= ARGV[17] or a[2] ~= ARGV[18] then return redis.error_reply('FENCED ' .. KEYS[11]) end
end
for i = 13, #KEYS do
  local field, was = ARGV[21 + (i - 13) * 3], ARGV[23 + (i - 13) * 3]
  if was ~= '*' and was ~= (redis.call('HGET', KEYS[i], field) or '') then
    return redis.error_reply('CHANGED ' .. field .. ' of ' .. KEYS[i])
  end
end

local generation
if ARGV[5] == '1' then
  generation = redis.call('INCR', KEYS[8])
else
  generation = tonumber(redis.call('GET', KEYS[8]) or 0)
end
if id ~= '' then
  redis.call('HSET', KEYS[2], 'v', 1, 'rev', rev + 1, 'state', tonumber(state), 'expires', expires,
    'digest', ARGV[10], 'record', ARGV[11])
  if not before then
    redis.call('ZADD', KEYS[3], 0, '00:' .. id)
  elseif tonumber(before) ~= tonumber(state) then
    redis.call('ZREM', KEYS[3], string.format('%02d:%s', before, id))
  end
  redis.call('ZADD', KEYS[3], 0, state .. ':' .. id)
  if ARGV[12] == '1' then redis.call('HSET', KEYS[4], id, expires) else redis.call('HDEL', KEYS[4], id) end
  if ARGV[13] == 'add' then redis.call('SADD', KEYS[5], id) end
  if ARGV[13] == 'drop' then redis.call('SREM', KEYS[5], id) end
end
for i = 13, #KEYS do
  local field, value = ARGV[21 + (i - 13) * 3], ARGV[22 + (i - 13) * 3]
  if value == '' then redis.call('HDEL', KEYS[i], field) else redis.call('HSET', KEYS[i], field, value) end
end
local number = 0
if entry ~= '' then
  number = redis.call('INCR', KEYS[7])
  redis.call('RPUSH', KEYS[6], '{"v":1,"number":' .. number .. ',' .. entry)
end
if keyed then
  redis.call('HSET', KEYS[1], 'v', 1, 'digest', digest, 'answer', answer, 'generation', generation, 'number', number,
    'warning', id)
  if id ~= '' then redis.call('SADD', KEYS[9], KEYS[1]) end
end
return {0, answer, generation, number}
