-- If the value is the expected one, sets or removes it and answers 1; else changes nothing and answers 0.
-- KEYS[1]; ARGV: whether a value is expected (1 or 0), that value, whether there is a new one, that one, its life in ms.
local current = redis.call('GET', KEYS[1])
if ARGV[1] == '1' then
  if current ~= ARGV[2] then return 0 end
elseif current then
  return 0
end
if ARGV[3] == '1' then
  redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
else
  redis.call('DEL', KEYS[1])
end
return 1
