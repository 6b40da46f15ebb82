-- Charges every key and takes every slot, or nothing, by GCRA, and answers {now, wait, code, a wait for each charge, 1 or
-- 0 for each slot}: microseconds of the server's time; the wait until the turn, or until one within `longest` could be
-- had, or until a place in the line; the code is 0 for too late, 1 for granted, 2 for a slot that is not free.
--
-- KEYS: one a charge, then one a slot, then the line of each slot; the same key may come again. ARGV: `longest`; 1 for a trial, which changes
-- nothing; the number of charges; the holder and the microseconds of its lease; for each charge 1 if it is enforced, and
-- five whole numbers: a denominator, its cost and its tolerance in microseconds, each as whole ones and a numerator over
-- that denominator; for each slot 1 if it is enforced, and its limit.
-- A charge's key holds its theoretical arrival time, as "WHOLE NUMERATOR DENOMINATOR", a slot's its holders by the end
-- of their leases. Every number stays below 2^53, up to which a Lua number is an exact integer.
local LAST = 9000000000000000

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local longest, trial, charges = tonumber(ARGV[1]), ARGV[2] == '1', tonumber(ARGV[3])
local holder, lease = ARGV[4], tonumber(ARGV[5])

local function stored(key)
  local text = redis.call('GET', key)
  if not text then return { 0, 0, 1 } end
  local whole, part, over = string.match(text, '^(%d+) (%d+) (%d+)$')
  return { tonumber(whole), tonumber(part), tonumber(over) }
end

local answer, tats, turn = { now, 0, 1 }, {}, 0
for i = 1, charges do
  local key, at = KEYS[i], i * 6
  local enforce, over = ARGV[at] == '1', tonumber(ARGV[at + 1])
  local cost, cost_part = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local tolerance, tolerance_part = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])

  local tat = tats[key] or stored(key)
  local whole, part = now, 0
  if tat[1] >= now then
    whole, part = tat[1], tat[2]
    -- At another rate than before: the same time over another denominator, rounded up.
    if tat[3] ~= over then part = math.ceil(part * over / tat[3]) end
  end

  whole, part = whole + cost, part + cost_part
  if part >= over then whole, part = whole + 1, part - over end
  if whole >= LAST then whole, part = LAST, 0 end

  local wait = whole - now - tolerance
  if part > tolerance_part then wait = wait + 1 end
  wait = math.max(wait, 0)
  if enforce or wait == 0 then tats[key] = { whole, part, over } end
  if enforce then turn = math.max(turn, wait) end
  answer[#answer + 1] = wait
end

local slots = (#KEYS - charges) / 2
local free, crowded = {}, {}
for i = charges + 1, charges + slots do
  local key, at = KEYS[i], 6 + charges * 6 + (i - charges - 1) * 2
  local taken = redis.call('ZCOUNT', key, '(' .. digits(now), '+inf')
  local own = redis.call('ZSCORE', key, holder)
  if own and tonumber(own) > now then taken = taken - 1 end
  local is_full = taken >= tonumber(ARGV[at + 1])
  if not is_full then free[#free + 1] = i end
  if is_full and ARGV[at] == '1' then crowded[i] = tonumber(ARGV[at + 1]) end
  answer[#answer + 1] = is_full and 1 or 0
end

if next(crowded) then
  answer[2], answer[3] = 0, 2
  for i, limit in pairs(crowded) do
    local line = line_of(KEYS[i + slots])
    answer[2] = math.max(answer[2], place(line, limit, now))
    if not trial then keep(KEYS[i + slots], line, now) end
  end
  return answer
end
answer[2] = turn
if turn > longest then
  answer[2], answer[3] = turn - longest, 0
  return answer
end
if trial then return answer end

for key, tat in pairs(tats) do
  -- A key whose time has come is the same as none.
  local life = math.ceil((tat[1] + 1 - now) / 1000)
  redis.call('SET', key, digits(tat[1]) .. ' ' .. digits(tat[2]) .. ' ' .. digits(tat[3]), 'PX', digits(life))
end
if turn == 0 then
  for _, i in ipairs(free) do
    local key = KEYS[i]
    redis.call('ZREMRANGEBYSCORE', key, '-inf', digits(now))
    redis.call('ZADD', key, digits(now + lease), holder)
    redis.call('PEXPIRE', key, digits(math.max(math.ceil(lease / 1000), redis.call('PTTL', key))))
    local line = line_of(KEYS[i + slots])
    if not is_quiet(line, now) then
      line.moved = now
      keep(KEYS[i + slots], line, now)
    end
  end
end
return answer
