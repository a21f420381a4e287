-- wrk_routes.lua at a moderate rate: each connection pauses a random 0 .. 2 * MEAN ms before each request.
-- Unlike h2load, wrk opens a closed connection again, so a proxy that closes on a reload is measured on.
-- Arguments after --: the number of routes and MEAN in milliseconds.
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "wrk_routes.lua")

local prepare, longest_ms = init, 0

init = function(arguments)
  prepare(arguments)
  longest_ms = 2 * tonumber(arguments[2])
end

delay = function()
  return math.random(0, longest_ms)
end
