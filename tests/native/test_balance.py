"""Balancers: the native one and its Python twin pick alike and keep their promises."""

import csv
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trunkline_native as native
from trunkline.core.reference import balance as twin

VECTORS = Path(__file__).parents[1] / "vectors/nginx_swrr"
POOLS: dict[str, Any] = json.loads((VECTORS / "pools.json").read_text())

KINDS: dict[str, dict[str, Any]] = {
    "round_robin": {},
    "weighted_round_robin": {},
    "least_connections": {},
    "weighted_least_connections": {},
    "hash": {},
    "power_of_two": {},
    "peak_ewma": {},
    "ketama": {"algorithm": "consistent_hash"},
    "jump": {"algorithm": "consistent_hash", "ring": "jump"},
    "rendezvous": {"algorithm": "consistent_hash", "ring": "rendezvous"},
    "bounded": {"algorithm": "consistent_hash", "load_factor": 1.25},
}

every_kind = pytest.mark.parametrize("kind", KINDS)
both = pytest.mark.parametrize("module", [native, twin], ids=["native", "twin"])


def balancer(module: Any, kind: str, servers: Any, **options: Any) -> Any:
    options = {"algorithm": kind, "seed": 3, **KINDS[kind], **options}
    return module.Balancer(options.pop("algorithm"), servers, **options)


def pick(balancer: Any, key: bytes, now: float, tried: tuple[int, ...] = ()) -> Any:
    """The picked server, or None."""
    try:
        return balancer.pick(key, now=now, tried=[balancer.servers[index] for index in tried])
    except (native.NoServerError, twin.NoServerError):
        return None


def shares(balancer: Any, now: float) -> Counter[str]:
    return Counter(balancer.pick(str(key).encode(), now=now).name for key in range(400))


# --- the same answers -----------------------------------------------------------------------------

steps = st.one_of(
    st.tuples(st.just("pick"), st.integers(0, 5)),
    st.tuples(st.just("pick"), st.integers(0, 5)),
    st.tuples(st.just("finish"), st.floats(0.001, 2.0)),
    st.tuples(st.just("abort"), st.none()),
    st.tuples(st.just("healthy"), st.booleans()),
    st.tuples(st.just("draining"), st.booleans()),
    st.tuples(st.just("eject"), st.floats(0, 5)),
    st.tuples(st.just("weight"), st.integers(0, 3)),
    st.tuples(st.just("limit"), st.integers(0, 3)),
    st.tuples(st.just("restart"), st.none()),
)


@every_kind
@given(
    shapes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=6),
    story=st.lists(st.tuples(steps, st.integers(0, 5), st.floats(0, 3)), max_size=40),
    slow_start=st.sampled_from([0.0, 4.0]),
    panic_threshold=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_native_and_twin_live_the_same_story(
    kind: str,
    shapes: list[tuple[int, int]],
    story: list[tuple[tuple[str, Any], int, float]],
    slow_start: float,
    panic_threshold: float,
) -> None:
    options = {"slow_start": slow_start, "panic_threshold": panic_threshold}
    pair = [
        balancer(
            module,
            kind,
            [module.Server(f"s{i}", *shape) for i, shape in enumerate(shapes)],
            **options,
        )
        for module in (native, twin)
    ]
    now = 1.0
    for (step, value), number, pause in story:
        now += pause
        outcomes = [act(one, step, value, number, now) for one in pair]
        assert outcomes[0] == outcomes[1]
        assert pair[0].explain(now=now) == pair[1].explain(now=now)
    for left, right in zip(pair[0].servers, pair[1].servers, strict=True):
        assert (left.active, left.latency, left.healthy) == (
            right.active,
            right.latency,
            right.healthy,
        )
        assert left.ejected(now=now) == right.ejected(now=now)


def act(balancer: Any, step: str, value: Any, number: int, now: float) -> Any:
    """Does one step of a story with one of the servers; what can be seen of it."""
    index = number % len(balancer.servers)
    server = balancer.servers[index]
    actions: dict[str, Callable[[], object]] = {
        "pick": lambda: pick_and_begin(balancer, str(value).encode(), now, value > 3, index),
        "finish": lambda: server.finish(value, now=now),
        "abort": lambda: server.finish(now=now),
        "healthy": lambda: server.set_healthy(value, now=now),
        "draining": lambda: server.set_draining(value),
        "eject": lambda: server.eject(value, now=now),
        "weight": lambda: server.set_weight(value),
        "limit": lambda: server.set_max_active(value),
        "restart": lambda: server.restart_slow_start(now=now),
    }
    return actions[step]()


def pick_and_begin(balancer: Any, key: bytes, now: float, retry: bool, index: int) -> str | None:
    chosen = pick(balancer, key, now, tried=(index,) if retry else ())
    if chosen is None:
        return None
    chosen.begin()
    return str(chosen.name)


@both
@pytest.mark.parametrize("pool", POOLS)
def test_weighted_round_robin_has_the_order_of_nginx(module: Any, pool: str) -> None:
    one = balancer(module, "weighted_round_robin", POOLS[pool]["servers"])
    names = [server.name for server in one.servers]
    with (VECTORS / f"{pool}.csv").open(newline="") as file:
        recorded = list(csv.reader(file))
    assert len(recorded) == 100
    for servers in recorded:
        tried: tuple[int, ...] = ()
        for expected in servers:
            assert pick(one, b"", 1.0, tried).name == expected
            tried += (names.index(expected),)


# --- promises, for every algorithm ----------------------------------------------------------------


@both
@every_kind
def test_only_eligible_servers_are_picked(module: Any, kind: str) -> None:
    servers = [module.Server(f"s{index}") for index in range(7)]
    one = balancer(module, kind, servers)
    servers[1].set_healthy(False, now=1.0)
    servers[2].set_draining(True)
    servers[3].eject(10.0, now=1.0)
    servers[4].set_weight(0)
    servers[5].set_max_active(1)
    servers[5].begin()
    assert set(shares(one, 2.0)) == {"s0", "s6"}
    assert list(one.explain(now=2.0).values()) == [
        "eligible", "unhealthy", "draining", "ejected", "weight_zero", "full", "eligible",
    ]  # fmt: skip
    assert one.pick(b"key", tried=[servers[0]], now=2.0) is servers[6]


@both
@every_kind
def test_backups_wait_for_the_others_to_fail(module: Any, kind: str) -> None:
    first, backup = module.Server("first"), module.Server("backup", 1, 1)
    one = balancer(module, kind, [backup, first])
    assert set(shares(one, 1.0)) == {"first"}
    assert one.explain(now=1.0) == {"backup": "standby", "first": "eligible"}
    first.set_healthy(False, now=2.0)
    assert set(shares(one, 2.0)) == {"backup"}
    backup.set_draining(True)
    with pytest.raises(module.NoServerError):
        one.pick(b"key", now=3.0)


@both
@every_kind
def test_in_a_panic_health_is_ignored(module: Any, kind: str) -> None:
    servers = [module.Server(f"s{index}") for index in range(3)]
    one = balancer(module, kind, servers, panic_threshold=0.5)
    servers[0].set_healthy(False, now=1.0)
    assert "s0" not in shares(one, 1.0)
    servers[1].set_healthy(False, now=1.0)
    assert set(shares(one, 1.0)) == {"s0", "s1", "s2"}
    assert one.explain(now=1.0) == {"s0": "panic", "s1": "panic", "s2": "eligible"}


@both
@every_kind
def test_slow_start_grows_the_share(module: Any, kind: str) -> None:
    servers = [module.Server(f"s{index}") for index in range(3)]
    one = balancer(module, kind, servers, slow_start=10.0)
    for server in servers:
        for _ in range(20):
            server.begin()
        server.finish(0.01, now=1.0)
    normal = shares(one, 1.0)["s1"]
    servers[1].set_healthy(False, now=50.0)
    servers[1].set_healthy(True, now=100.0)
    assert one.explain(now=101.0)["s1"] == "warming"
    assert shares(one, 101.0)["s1"] * 2 < normal
    assert shares(one, 110.0)["s1"] * 2 > normal


@both
@pytest.mark.parametrize("kind", ["hash", "ketama", "jump", "rendezvous"])
def test_keys_of_healthy_servers_never_move(module: Any, kind: str) -> None:
    one = balancer(module, kind, [f"s{index}" for index in range(5)])
    keys = [str(number).encode() for number in range(300)]
    before = {key: one.pick(key, now=1.0).name for key in keys}
    one.servers[2].set_healthy(False, now=1.0)
    for key in keys:
        after = one.pick(key, now=1.0).name
        assert after != "s2"
        assert before[key] in (after, "s2")


@both
def test_a_bounded_ring_passes_a_hot_key_on(module: Any) -> None:
    one = balancer(module, "bounded", ["a", "b", "c", "d"])
    for _ in range(100):
        one.pick(b"hot", now=1.0).begin()
    assert max(server.active for server in one.servers) == 32


@both
def test_least_connections_and_weights(module: Any) -> None:
    one = balancer(module, "weighted_least_connections", {"small": 1, "large": 3})
    for _ in range(40):
        one.pick(now=1.0).begin()
    assert [server.active for server in one.servers] == [10, 30]


@both
def test_peak_ewma_avoids_the_slow_server_at_once(module: Any) -> None:
    one = balancer(module, "peak_ewma", ["fast", "slow"])
    for server, latency in zip(one.servers, (0.01, 0.5), strict=True):
        server.begin()
        server.finish(latency, now=1.0)
    assert set(shares(one, 1.0)) == {"fast"}
    assert one.servers[1].latency == 0.5


@both
def test_what_cannot_work_is_refused(module: Any) -> None:
    for arguments, options in [
        (("fastest", ["a"]), {}),
        (("round_robin", [module.Server("a"), "a"]), {}),
        (("round_robin", ["a"]), {"panic_threshold": 1.5}),
        (("hash", ["a"]), {"load_factor": 1.0}),
    ]:
        with pytest.raises(module.BalanceError):
            module.Balancer(*arguments, **options)


# --- only native: the clock, the context manager, threads -----------------------------------------


def test_numbers_out_of_range_are_balance_errors() -> None:
    for call in (
        lambda: native.Server("a", -1),
        lambda: native.Server("a", priority=256),
        lambda: native.Server("a").finish(-1.0),
        lambda: native.Server("a").eject(float("nan")),
        lambda: native.Balancer("round_robin", {"a": 2**32}),
        lambda: native.Balancer("round_robin", ["a"], slow_start=-1.0),
    ):
        with pytest.raises(native.BalanceError):
            call()
    with pytest.raises(native.RingError):
        native.Balancer("consistent_hash", ["a"], ring="chord")
    with pytest.raises(TypeError):
        native.Balancer("round_robin", "abc")


def test_a_request_is_counted_while_it_runs() -> None:
    one = native.Balancer("round_robin", ["a"])
    request = one.request("key")
    began = time.monotonic()
    with request as server:
        assert server.active == 1
        with pytest.raises(RuntimeError):
            request.__enter__()
    assert server.active == 0
    assert 0 < server.latency <= time.monotonic() - began


def test_a_request_that_raises_is_counted_out_but_not_measured() -> None:
    one = native.Balancer("least_connections", ["a", "b"])
    with pytest.raises(ZeroDivisionError), one.request() as server:
        _ = 1 / (server.active - 1)
    assert (server.active, server.latency) == (0, 0.0)


def test_without_now_the_clock_is_the_monotonic_one() -> None:
    server = native.Server("a")
    server.eject(60.0)
    assert server.ejected(now=time.monotonic())
    assert not server.ejected(now=time.monotonic() + 61)


def test_rebuild_takes_up_new_weights() -> None:
    one = native.Balancer("consistent_hash", ["a", "b"], seed=1)
    one.servers[1].set_weight(100)
    before = shares(one, 1.0)["b"]
    one.rebuild()
    assert shares(one, 1.0)["b"] > 1.5 * before
    assert (one.algorithm, repr(one.servers[1])) == (
        "consistent_hash", 'Server("b", weight=100, priority=0)',
    )  # fmt: skip


def test_threads_share_a_balancer() -> None:
    one = native.Balancer("round_robin", ["a", "b", "c"])

    def run() -> None:
        for _ in range(300):
            one.pick().begin()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [server.active for server in one.servers] == [400, 400, 400]
