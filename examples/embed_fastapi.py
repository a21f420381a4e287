"""trunkline's algorithms in somebody else's service: FastAPI with a limiter, a ring and a breaker.

    python examples/embed_fastapi.py 127.0.0.1:8000
    curl -i http://127.0.0.1:8000/shard/alice     # the shard of Alice; the sixth in a second: 429
    curl -i http://127.0.0.1:8000/advice          # 502 three times, then 503 at once

Only `trunkline_native` is used: no proxy and no configuration of trunkline's runs here.
"""

import math
import sys
from collections.abc import Awaitable, Callable

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response

from trunkline_native import BreakerOpenError, CircuitBreaker, KetamaRing, KeyedLimiter

limiter = KeyedLimiter("gcra", limit=5, period=1.0)
shards = KetamaRing({"shard-a": 1, "shard-b": 1, "shard-c": 2})
breaker = CircuitBreaker(consecutive_failures=3, open_time=5.0)
app = FastAPI(title="embedded")


@app.middleware("http")
async def limit(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Five requests a second for each client and path."""
    client = request.client.host if request.client else ""
    decision = limiter.check(f"{client} {request.url.path}")
    if decision:
        return await answer(request)
    return Response(status_code=429, headers={"Retry-After": str(math.ceil(decision.retry_after))})


@app.get("/shard/{user}")
async def shard(user: str) -> dict[str, str]:
    """The shard that holds a user: the same one in every process."""
    return {"user": user, "shard": shards.lookup(user)}


@app.get("/advice")
async def advice() -> str:
    """What the adviser says; while it fails, nobody waits for it."""
    try:
        return await ask_adviser()
    except BreakerOpenError as refused:
        wait_s = str(math.ceil(refused.retry_after))
        raise HTTPException(503, "the adviser rests", {"Retry-After": wait_s}) from refused
    except ConnectionError as error:
        raise HTTPException(502, str(error)) from error


@breaker
async def ask_adviser() -> str:
    """A dependency that is down."""
    raise ConnectionRefusedError("the adviser is down")


if __name__ == "__main__":
    host, port = sys.argv[1].rsplit(":", 1)
    uvicorn.run(app, host=host, port=int(port), log_level="warning")
