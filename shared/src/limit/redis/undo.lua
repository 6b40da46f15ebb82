-- Takes a grant back: each charge's cost from its key, and the holder from its slots. KEYS: one a charge, then one a slot.
-- ARGV: the number of charges; the holder; for each charge three whole numbers: a denominator, and its cost in
-- microseconds as whole ones and a numerator over that denominator. Keys are as in ask.lua.
local function digits(number) return string.format('%.0f', number) end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local charges = tonumber(ARGV[1])

for i = 1, charges do
  local key, at = KEYS[i], i * 3
  local over, cost, cost_part = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local text = redis.call('GET', key)
  if text then
    local whole, part, stored_over = string.match(text, '^(%d+) (%d+) (%d+)$')
    whole, part, stored_over = tonumber(whole), tonumber(part), tonumber(stored_over)
    if stored_over ~= over then part = math.ceil(part * over / stored_over) end
    whole, part = whole - cost, part - cost_part
    if part < 0 then whole, part = whole - 1, part + over end
    if whole < now then
      redis.call('DEL', key)
    else
      local life = math.ceil((whole + 1 - now) / 1000)
      redis.call('SET', key, digits(whole) .. ' ' .. digits(part) .. ' ' .. digits(over), 'PX', digits(life))
    end
  end
end
for i = charges + 1, #KEYS do redis.call('ZREM', KEYS[i], ARGV[2]) end
return 1
