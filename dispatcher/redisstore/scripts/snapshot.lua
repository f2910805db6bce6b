-- snapshot: makes a snapshot the newest, together with all acts that it carries out; or nothing.
--
-- KEYS  1 writer  2 table of snapshots  3 record  4 recorded  5 generation  6.. stored answer of each act, then the
--       table of each put
-- ARGV  1 who writes  2 the newest snapshot that was read, as it is stored, '' for none  3 id  4 id as it is stored
--       5 manifest as it is stored  6 how many acts  7.. of each act: '1' when it has a key, digest, answer, entry as
--       in act.lua; then field and value of each put, '' removes it
-- returns {generation, number of the entry of each act…}
-- errors FENCED CHANGED OTHERUSE
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('FENCED somebody else may write the directory') end
if (redis.call('HGET', KEYS[2], 'newest') or '') ~= ARGV[2] then
  return redis.error_reply('CHANGED the directory has another newest snapshot')
end
local acts = tonumber(ARGV[6])
for i = 0, acts - 1 do
  if ARGV[7 + i * 4] == '1' then
    local digest = redis.call('HGET', KEYS[6 + i], 'digest')
    if digest and digest ~= ARGV[8 + i * 4] then
      return redis.error_reply('OTHERUSE the key was used with other content')
    elseif digest then
      return redis.error_reply('CHANGED act ' .. i .. ' was done before')
    end
  end
end

local generation = tonumber(redis.call('GET', KEYS[5]) or 0)
local out = {generation}
for i = 0, acts - 1 do
  local at, number = 7 + i * 4, 0
  if ARGV[at + 3] ~= '' then
    number = redis.call('INCR', KEYS[4])
    redis.call('RPUSH', KEYS[3], '{"v":1,"number":' .. number .. ',' .. ARGV[at + 3])
  end
  if ARGV[at] == '1' then
    redis.call('HSET', KEYS[6 + i], 'v', 1, 'digest', ARGV[at + 1], 'answer', ARGV[at + 2], 'generation', generation,
      'number', number, 'warning', '')
  end
  out[i + 2] = number
end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[5], 'newest', ARGV[4])
for i = 6 + acts, #KEYS do
  local at = 7 + acts * 4 + (i - 6 - acts) * 2
  if ARGV[at + 1] == '' then redis.call('HDEL', KEYS[i], ARGV[at]) else redis.call('HSET', KEYS[i], ARGV[at], ARGV[at + 1]) end
end
return out
