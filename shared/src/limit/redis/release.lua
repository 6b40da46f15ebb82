-- Gives slots back. KEYS: the slots, then the line of each. ARGV: the holder, and the microseconds that it held them.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local held = math.min(math.max(tonumber(ARGV[2]), 1), REMEMBERED)
local slots = #KEYS / 2

for i = 1, slots do
  if redis.call('ZREM', KEYS[i], ARGV[1]) == 1 then
    local line = line_of(KEYS[i + slots])
    local known = line.hold == 0 and held or line.hold
    line.hold, line.moved = math.floor((known * (WEIGHT - 1) + held) / WEIGHT), now
    keep(KEYS[i + slots], line, now)
  end
end
return 1
