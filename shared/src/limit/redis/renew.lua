-- Extends the leases of slots. KEYS: the slots. ARGV: the holder and the microseconds of its lease.
local time = redis.call('TIME')
local ends = time[1] * 1000000 + time[2] + tonumber(ARGV[2])
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, string.format('%.0f', ends), ARGV[1])
  local life = math.max(math.ceil(ARGV[2] / 1000), redis.call('PTTL', key))
  redis.call('PEXPIRE', key, string.format('%.0f', life))
end
return 1
