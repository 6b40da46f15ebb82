-- Those who wait for a slot: the arithmetic of line.rs, whose terms stand before this. A line's key holds its last place, how
-- long a slot is held and when one was last taken or given back, as "TAIL HOLD MOVED".
local function digits(number) return string.format('%.0f', number) end

local function line_of(key)
  local tail, hold, moved = string.match(redis.call('GET', key) or '0 0 0', '^(%d+) (%d+) (%d+)$')
  return { tail = tonumber(tail), hold = tonumber(hold), moved = tonumber(moved) }
end

local function keep(key, line, now)
  local life = math.ceil((math.max(line.tail, line.moved) + REMEMBERED - now) / 1000)
  redis.call('SET', key, digits(line.tail) .. ' ' .. digits(line.hold) .. ' ' .. digits(line.moved), 'PX', digits(life))
end

local function is_quiet(line, now) return line.tail == 0 or line.tail + QUIET < now end

local function place(line, limit, now)
  if is_quiet(line, now) then line.moved = now end
  local hold = line.hold == 0 and GUESS or line.hold
  local back = math.floor(math.max(hold, now - line.moved) / (2 * limit))
  local far = math.min(math.max(hold * FAR, NEAR), FARTHEST)
  line.tail = math.max(line.tail, now) + back
  if line.tail > now + far then line.tail = now + math.floor(far / 4) * 3 end
  return math.max(line.tail - now, LEAST)
end

