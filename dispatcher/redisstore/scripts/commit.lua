-- commit: appends to the journal of an account, grants and closes its strands, stores their counts.
--
-- It moves the heartbeat: from its answer on, also one that is given again, its owner sends for another lease.
-- Besides KEYS it uses the hashes of the strands that it is given and of their warnings (same hash tag, same slot).
-- KEYS  1 account  2 journal  3 table of controls  4 generation
-- ARGV  1 prefix  2 name of the account  3 owner  4 epoch  5 sequence  6 now (ms)  7 generation obeyed
--       8 grants: (strand u32, from u32, to u32, length u32, records sent again)…
--       9 closes: (strand u32, state u8)…
--       10 tails: (strand u32, length u32, JSON)…
--       11 journal: version byte and records  12 figures of the account: version byte and bytes, '' leaves them
-- returns generation u64, number of the last journal entry u64, count u32, a refusal u8 for each grant, then the
--         control as it is stored; all little endian
-- errors FENCED STRAND NOTFOUND
local prefix, name, seq, now = ARGV[1], ARGV[2], tonumber(ARGV[5]), tonumber(ARGV[6])
local a = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'seq', 'answer', 'entry')
if a[1] ~= ARGV[3] or a[2] ~= ARGV[4] then return redis.error_reply('FENCED account ' .. name) end
if tonumber(a[3]) == seq and seq > 0 then
  redis.call('HINCRBY', KEYS[1], 'beat', 1)
  return a[4]
end
if tonumber(a[3]) + 1 ~= seq then
  return redis.error_reply('FENCED the last commit to account ' .. name .. ' was ' .. a[3] .. ', this is ' .. seq)
end

local control = redis.call('HGET', KEYS[3], name) or ''
local paused = control ~= '' and cjson.decode(string.sub(control, 2)).paused
local strands, warnings, fault = {}, {}, nil

local function strand(id)
  local s = strands[id]
  if not s then
    local key = strand_key(prefix, id)
    local f = redis.call('HMGET', key, 'account', 'warning', 'people', 'granted', 'closed')
    if f[1] ~= name then
      fault = fault or 'NOTFOUND strand ' .. id .. ' of account ' .. name
      return nil
    end
    s = {key = key, warning = f[2], people = tonumber(f[3]), granted = tonumber(f[4]), closed = tonumber(f[5])}
    strands[id] = s
  end
  return s
end

-- The refusal of a strand: 0 or the state that refuses it.
local function refusal(s)
  local no = warnings[s.warning]
  if not no then
    local w = redis.call('HMGET', warning_key(prefix, s.warning), 'state', 'expires')
    no = tonumber(w[1])
    if no == RELEASED then
      if now >= tonumber(w[2]) then no = EXPIRED elseif not paused then no = 0 end
    end
    warnings[s.warning] = no
  end
  return no
end

-- All is read and judged first: a commit that does not fit changes nothing.
local grants, refused, blob = ARGV[8], {}, {ARGV[11]}
local pos, size = 1, #ARGV[11]
while pos <= #grants do
  local id, from, to, length, at = struct.unpack('<I4I4I4I4', grants, pos)
  pos = at + length
  local s = strand(id)
  if not s then break end
  if s.granted ~= from then
    fault = 'STRAND ' .. id .. ' is granted up to ' .. s.granted .. ', asked from ' .. from
  elseif to > s.people then
    fault = 'STRAND ' .. id .. ' has no positions ' .. from .. ' to ' .. to .. ' of ' .. s.people
  elseif to > from and s.closed ~= 0 then
    fault = 'STRAND ' .. id .. ' is closed'
  end
  if fault then break end
  local no = to < from and 0 or refusal(s) -- what is given back is never refused
  refused[#refused + 1] = string.char(no)
  if no == 0 then
    if to ~= from then s.granted, s.moved = to, true end
    if length > 0 then
      blob[#blob + 1] = string.sub(grants, at, pos - 1)
      size = size + length
    end
  end
end
pos = 1
while pos <= #ARGV[9] and not fault do
  local id, as, at = struct.unpack('<I4B', ARGV[9], pos)
  pos = at
  local s = strand(id)
  if s and s.closed ~= 0 and s.closed ~= as then
    fault = 'STRAND ' .. id .. ' is closed as ' .. s.closed .. ', not as ' .. as
  elseif s then
    s.closed, s.moved = as, true
  end
end
pos = 1
while pos <= #ARGV[10] and not fault do
  local id, length, at = struct.unpack('<I4I4', ARGV[10], pos)
  pos = at + length
  local s = strand(id)
  if s then s.tail = string.sub(ARGV[10], at, pos - 1) end
end
if fault then return redis.error_reply(fault) end

for _, s in pairs(strands) do
  if s.tail then
    redis.call('HSET', s.key, 'granted', s.granted, 'closed', s.closed, 'tail', s.tail)
  elseif s.moved then
    redis.call('HSET', s.key, 'granted', s.granted, 'closed', s.closed)
  end
end
local entry = tonumber(a[5])
if size > 1 then
  entry = entry + 1
  redis.call('RPUSH', KEYS[2], table.concat(blob))
end
local answer = struct.pack('<I8I8I4', tonumber(redis.call('GET', KEYS[4]) or 0), entry, #refused) ..
  table.concat(refused) .. control
if ARGV[12] ~= '' then redis.call('HSET', KEYS[1], 'stats', ARGV[12]) end
redis.call('HSET', KEYS[1], 'seq', seq, 'answer', answer, 'entry', entry, 'obeyed', ARGV[7])
redis.call('HINCRBY', KEYS[1], 'beat', 1)
return answer
