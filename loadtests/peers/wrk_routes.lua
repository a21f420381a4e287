-- Walks over the paths /r/0 .. /r/N-1 (N is the argument after --), one step per request, with a stride
-- that is prime, so that neighbours in the configuration are not neighbours in time. The requests are
-- formatted once; reports like wrk_report.lua.
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "wrk_report.lua")

local STRIDE = 7919
local prepared, position = {}, 0

init = function(arguments)
  for number = 0, tonumber(arguments[1]) - 1 do
    prepared[number] = wrk.format("GET", "/r/" .. number)
  end
end

request = function()
  position = (position + STRIDE) % (#prepared + 1)
  return prepared[position]
end
