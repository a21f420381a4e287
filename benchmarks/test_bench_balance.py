"""A thousand picks among ten servers: ours and the Python twin.

Microseconds for the thousand are nanoseconds for one. Each timing has its correctness beside it:
the native balancer and its twin, begun with one seed, make the same thousand picks.
"""

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import trunkline_native as native
from trunkline.core.reference import balance as twin

ALGORITHMS = [
    "round_robin",
    "weighted_round_robin",
    "least_connections",
    "hash",
    "consistent_hash",
    "power_of_two",
    "peak_ewma",
]
WEIGHTS = {f"10.0.0.{number}:80": number % 3 + 1 for number in range(10)}
KEYS = [f"user-{number}".encode() for number in range(1000)]


def picks(module: Any, algorithm: str) -> list[str]:
    balancer = module.Balancer(algorithm, WEIGHTS, seed=1)
    return [balancer.pick(key, now=1.0).name for key in KEYS]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("module", [native, twin], ids=["native", "twin"])
def test_pick(benchmark: BenchmarkFixture, module: Any, algorithm: str) -> None:
    pick = module.Balancer(algorithm, WEIGHTS, seed=1).pick
    benchmark.pedantic(lambda: [pick(key, now=1.0) for key in KEYS], rounds=5)
    assert picks(native, algorithm) == picks(twin, algorithm)


def test_request(benchmark: BenchmarkFixture) -> None:
    balancer = native.Balancer("peak_ewma", WEIGHTS, seed=1)

    def serve() -> None:
        for key in KEYS:
            with balancer.request(key):
                pass

    benchmark(serve)
    assert all(server.active == 0 for server in balancer.servers)
