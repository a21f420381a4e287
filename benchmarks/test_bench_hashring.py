"""A thousand keys, one lookup each, on a hundred nodes: ours, the Python twin, uhashring.

Microseconds for the thousand are nanoseconds for one. Each timing has its correctness beside it:
the native ring and its twin answer alike, and uhashring spreads its keys.
"""

from collections import Counter
from collections.abc import Callable

import pytest
import uhashring
from pytest_benchmark.fixture import BenchmarkFixture

import trunkline_native as native
from trunkline.core.reference import hashring as twin

Lookup = Callable[[bytes], str]
NODES = [f"10.0.{number // 10}.{number % 10}:80" for number in range(100)]
KEYS = [f"user-{number}".encode() for number in range(1000)]
TWINS: dict[str, twin.HashRing] = {
    "ketama": twin.KetamaRing(NODES),
    "maglev": twin.MaglevRing(NODES),
    "jump": twin.JumpRing(NODES),
    "rendezvous": twin.RendezvousRing(NODES),
}


def each(lookup: Lookup) -> Callable[[], list[str]]:
    return lambda: [lookup(key) for key in KEYS]


@pytest.mark.parametrize("kind", TWINS)
def test_native(benchmark: BenchmarkFixture, kind: str) -> None:
    answers = benchmark(each(native.HashRing(kind, NODES).lookup))
    assert answers == TWINS[kind].lookup_many(KEYS)


@pytest.mark.parametrize("kind", TWINS)
def test_native_many(benchmark: BenchmarkFixture, kind: str) -> None:
    answers = benchmark(native.HashRing(kind, NODES).lookup_many, KEYS)
    assert answers == TWINS[kind].lookup_many(KEYS)


@pytest.mark.parametrize("kind", TWINS)
def test_twin(benchmark: BenchmarkFixture, kind: str) -> None:
    answers = benchmark.pedantic(each(TWINS[kind].lookup), rounds=3)
    assert answers == native.HashRing(kind, NODES).lookup_many(KEYS)


@pytest.mark.parametrize("hash_fn", ["ketama", None], ids=["ketama", "default"])
def test_uhashring(benchmark: BenchmarkFixture, hash_fn: str | None) -> None:
    options = {"hash_fn": hash_fn} if hash_fn else {}
    ring = uhashring.HashRing(nodes=NODES, **options)
    keys = [key.decode() for key in KEYS]  # it takes text only
    answers = benchmark(lambda: [ring.get_node(key) for key in keys])
    assert max(Counter(answers).values()) < 4 * len(KEYS) / len(NODES)
