"""Circuit breaker, outlier ejection, retry budget: `python examples/native/breaker.py`."""

import asyncio

import trunkline_native as native

breaker = native.CircuitBreaker(
    consecutive_failures=3,  # three in a row open it,
    failure_ratio=0.5,  # or half of the calls of the last ten seconds,
    minimum_calls=20,  # if they were twenty at least
    open_time=5.0,
    open_growth=2.0,  # 5 s, 10 s, 20 s … while it keeps failing
)


@breaker
async def fetch(fails: bool) -> str:
    """Stands for a call to another service."""
    await asyncio.sleep(0)
    if fails:
        raise ConnectionError("refused")
    return "answer"


async def calls() -> None:
    """Three failures open the breaker; after that nobody waits for the broken service."""
    for fails in (False, True, True, True, False):
        try:
            print(await fetch(fails))
        except ConnectionError as error:
            print(f"failed: {error}; the breaker is {breaker.state()}")
        except native.BreakerOpenError as error:
            print(f"not called, use the fallback; try again in {error.retry_after:.1f} s")


def a_pool_of_servers() -> None:
    """A server that keeps failing is left out for a while; never too many at the same time."""
    servers = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    detector = native.OutlierDetector(len(servers), consecutive_failures=2)
    for _ in range(2):
        ejection = detector.record(1, ok=False)
        if ejection:
            print(f"{servers[1]} is out: {ejection.reason}")
    print("usable:", [server for index, server in enumerate(servers) if detector.usable(index)])


def retries() -> None:
    """At most one retry for five requests, so that retries cannot multiply an outage."""
    budget = native.RetryBudget(ratio=0.2, minimum_per_second=0.0)
    for _ in range(10):
        budget.deposit()
    print("retry?", [budget.withdraw() for _ in range(3)])


if __name__ == "__main__":
    asyncio.run(calls())
    a_pool_of_servers()
    retries()
