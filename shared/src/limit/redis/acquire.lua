-- Charges every key or none, by GCRA, and answers {now, wait, granted}: microseconds of the server's time, the
-- wait until the turn, and 1; or the wait until a turn within `longest` could be had, and 0.
--
-- KEYS: one a charge; the same key may come again. ARGV: `longest`, and for each charge five whole numbers: a
-- denominator, its cost and its tolerance in microseconds, each as whole ones and a numerator over that denominator.
-- A key holds its theoretical arrival time, as "WHOLE NUMERATOR DENOMINATOR". Every number stays below 2^53, up to
-- which a Lua number is an exact integer.
local LAST = 9000000000000000

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local longest = tonumber(ARGV[1])

local function stored(key)
  local text = redis.call('GET', key)
  if not text then return { 0, 0, 1 } end
  local whole, part, over = string.match(text, '^(%d+) (%d+) (%d+)$')
  return { tonumber(whole), tonumber(part), tonumber(over) }
end

local tats, turn = {}, 0
for i, key in ipairs(KEYS) do
  local at = i * 5 - 3
  local over = tonumber(ARGV[at])
  local cost, cost_part = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local tolerance, tolerance_part = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])

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
  tats[key] = { whole, part, over }

  local wait = whole - now - tolerance
  if part > tolerance_part then wait = wait + 1 end
  turn = math.max(turn, wait)
end

if turn > longest then return { now, turn - longest, 0 } end

for key, tat in pairs(tats) do
  -- A key whose time has come is the same as none.
  local life = math.ceil((tat[1] + 1 - now) / 1000)
  redis.call('SET', key, string.format('%.0f %.0f %.0f', tat[1], tat[2], tat[3]), 'PX', string.format('%.0f', life))
end
return { now, turn, 1 }
