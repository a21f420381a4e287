"""A thousand clients, one rate-limit check each: ours, the Python twin, the packages in common use.

Microseconds for the thousand are nanoseconds for one. Each timing has its correctness beside it:
the same subject, with a limit of three, admits three.
"""

from collections.abc import Callable

import limits
import pyrate_limiter
import pytest
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter
from pytest_benchmark.fixture import BenchmarkFixture

import trunkline_native as native
from trunkline.core.reference import ratelimit as twin

Check = Callable[[str], bool]
CLIENTS = [f"client-{number}" for number in range(1000)]
# Seconds; hours, so that nothing comes back while three are counted.
PERIOD = 3600
PLENTY = 10**9


def native_keyed(algorithm: str) -> Callable[[int], Check]:
    return lambda limit: native.KeyedLimiter(algorithm, limit, PERIOD).allow


def twin_keyed(kind: type[twin.Limiter]) -> Callable[[int], Check]:
    def build(limit: int) -> Check:
        limiter = twin.KeyedLimiter(kind, limit, PERIOD)
        return lambda client: bool(limiter.check(client))

    return build


def limits_package(strategy: type[RateLimiter]) -> Callable[[int], Check]:
    def build(limit: int) -> Check:
        limiter, quota = strategy(MemoryStorage()), limits.RateLimitItemPerHour(limit)
        return lambda client: limiter.hit(quota, client)

    return build


def pyrate(limit: int) -> Check:
    # One bucket per limiter: its users keep a dictionary of limiters to have keys.
    rate = pyrate_limiter.Rate(limit, pyrate_limiter.Duration.HOUR)
    limiters = {client: pyrate_limiter.Limiter(rate) for client in CLIENTS}
    return lambda client: bool(limiters[client].try_acquire(client, blocking=False))


SUBJECTS: dict[str, Callable[[int], Check]] = {
    "native token bucket": native_keyed("token_bucket"),
    "native GCRA": native_keyed("gcra"),
    "native fixed window": native_keyed("fixed_window"),
    "native sliding window": native_keyed("sliding_window"),
    "twin token bucket": twin_keyed(twin.TokenBucket),
    "limits fixed window": limits_package(FixedWindowRateLimiter),
    "limits sliding window": limits_package(SlidingWindowCounterRateLimiter),
    "pyrate-limiter": pyrate,
}


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.benchmark(group="one check for each of 1000 keys")
def test_check(benchmark: BenchmarkFixture, subject: str) -> None:
    build = SUBJECTS[subject]
    three = build(3)
    assert [three(CLIENTS[0]) for _ in range(5)] == [True] * 3 + [False] * 2
    assert three(CLIENTS[1]), "clients are counted apart"

    check = build(PLENTY)

    def check_all() -> bool:
        return all(map(check, CLIENTS))

    assert benchmark.pedantic(check_all, rounds=20, iterations=5)


@pytest.mark.parametrize("algorithm", ["token_bucket", "leaky_queue", "fixed_window", "gcra"])
@pytest.mark.benchmark(group="one check, no key")
def test_single(benchmark: BenchmarkFixture, algorithm: str) -> None:
    three = native.Limiter(algorithm, 3, PERIOD)
    assert [three.allow() for _ in range(5)] == [True] * 3 + [False] * 2
    limiter = native.Limiter(algorithm, PLENTY, PERIOD)
    assert benchmark.pedantic(limiter.check, rounds=20, iterations=20000)
