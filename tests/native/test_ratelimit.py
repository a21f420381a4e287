"""Rate limiters: the native ones and their Python twins answer alike and keep their promises."""

import math
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trunkline_native as native
from trunkline.core.reference import ratelimit as twin

BUCKETS = ["TokenBucket", "LeakyBucket", "LeakyQueue", "Gcra"]
WINDOWS = ["FixedWindow", "SlidingWindow"]
ALGORITHMS = {
    "TokenBucket": "token_bucket",
    "LeakyBucket": "leaky_meter",
    "LeakyQueue": "leaky_queue",
    "Gcra": "gcra",
    "FixedWindow": "fixed_window",
    "SlidingWindow": "sliding_window",
}

both = pytest.mark.parametrize("module", [twin, native], ids=["twin", "native"])
every_kind = pytest.mark.parametrize("kind", BUCKETS + WINDOWS)


def facts(decision: Any) -> tuple[object, ...]:
    return (
        decision.allowed,
        decision.limit,
        decision.remaining,
        decision.retry_after,
        decision.reset_after,
        decision.delay,
    )


# (now, cost, (allowed, remaining, retry_after, reset_after, delay)) of 10 per second, burst 3
BUCKET_STORY = [
    (0.0, 1, (True, 2, 0.0, 0.1, 0.0)),
    (0.0, 2, (True, 0, 0.0, 0.3, 0.0)),
    (0.0, 1, (False, 0, 0.1, 0.3, 0.0)),
    (0.05, 1, (False, 0, 0.05, 0.25, 0.0)),
    (0.1, 1, (True, 0, 0.0, 0.3, 0.0)),
    (0.1, 4, (False, 0, math.inf, 0.3, 0.0)),
    (0.1, 0, (True, 0, 0.0, 0.3, 0.0)),
    (0.25, 2, (False, 1, 0.05, 0.15, 0.0)),
    (9.0, 3, (True, 0, 0.0, 0.3, 0.0)),
]
Story = Sequence[tuple[float, int, tuple[object, ...]]]
STORIES: dict[str, tuple[tuple[Any, ...], Story]] = {
    "TokenBucket": ((10, 1.0, 3), BUCKET_STORY),
    "LeakyBucket": ((10, 1.0, 3), BUCKET_STORY),
    "Gcra": ((10, 1.0, 3), BUCKET_STORY),
    "LeakyQueue": (
        (10, 1.0, 3),
        [
            (0.0, 1, (True, 2, 0.0, 0.1, 0.0)),
            (0.0, 1, (True, 1, 0.0, 0.2, 0.1)),
            (0.05, 1, (True, 0, 0.0, 0.25, 0.15)),
            (0.05, 1, (False, 0, 0.05, 0.25, 0.0)),
            (0.1, 1, (True, 0, 0.0, 0.3, 0.2)),
            (5.0, 3, (True, 0, 0.0, 0.3, 0.0)),
        ],
    ),
    "FixedWindow": (
        (3, 1.0),
        [
            (0.25, 1, (True, 2, 0.0, 0.75, 0.0)),
            (0.5, 2, (True, 0, 0.0, 0.5, 0.0)),
            (0.75, 1, (False, 0, 0.25, 0.25, 0.0)),
            (0.75, 4, (False, 0, math.inf, 0.25, 0.0)),
            (1.0, 3, (True, 0, 0.0, 1.0, 0.0)),
            (7.5, 0, (True, 3, 0.0, 0.0, 0.0)),
        ],
    ),
    "SlidingWindow": (
        (4, 1.0),
        [
            (0.5, 4, (True, 0, 0.0, 1.5, 0.0)),
            (0.5, 1, (False, 0, 0.75, 1.5, 0.0)),
            (1.25, 1, (True, 0, 0.0, 1.75, 0.0)),
            (1.25, 1, (False, 0, 0.25, 1.75, 0.0)),
            (1.5, 1, (True, 0, 0.0, 1.5, 0.0)),
            (1.5, 5, (False, 0, math.inf, 1.5, 0.0)),
            (9.0, 0, (True, 4, 0.0, 0.0, 0.0)),
        ],
    ),
}


@both
@every_kind
def test_the_story_of_each_kind(module: ModuleType, kind: str) -> None:
    arguments, story = STORIES[kind]
    limiter = getattr(module, kind)(*arguments)
    for now, cost, (allowed, *numbers) in story:
        decision = facts(limiter.check(cost, now))
        assert decision[0] is allowed, (now, cost)
        assert decision[2:] == pytest.approx(numbers), (now, cost)


@st.composite
def quotas(draw: st.DrawFn, kinds: list[str]) -> tuple[str, tuple[Any, ...]]:
    """A kind and its arguments: odd numbers, so that nothing divides evenly."""
    kind = draw(st.sampled_from(kinds))
    limit, burst = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    period = draw(st.integers(1, 10_000)) / 1000
    return kind, (limit, period) if kind in WINDOWS else (limit, period, burst)


steps = st.lists(
    st.tuples(st.one_of(st.just(0.0), st.floats(0, 0.05), st.floats(0, 20)), st.integers(0, 20)),
    min_size=1,
    max_size=60,
)


@given(quota=quotas(BUCKETS + WINDOWS), steps=steps)
def test_twin_and_native_answer_alike(
    quota: tuple[str, tuple[Any, ...]], steps: list[tuple[float, int]]
) -> None:
    kind, arguments = quota
    ours, reference = getattr(native, kind)(*arguments), getattr(twin, kind)(*arguments)
    now = 0.0
    for advance, cost in steps:
        now += advance
        assert facts(ours.check(cost, now)) == facts(reference.check(cost, now))


@given(quota=quotas(BUCKETS + WINDOWS), steps=steps)
def test_never_more_than_limit_and_burst_in_a_period(
    quota: tuple[str, tuple[Any, ...]], steps: list[tuple[float, int]]
) -> None:
    limiter = getattr(native, quota[0])(*quota[1])
    now, admitted = 0.0, []
    for advance, cost in steps:
        now += advance
        if limiter.allow(cost, now):
            admitted.append((now, cost))
        taken = sum(cost for at, cost in admitted if at > now - limiter.period)
        assert taken <= limiter.limit + limiter.burst


@given(quota=quotas(["TokenBucket"]), steps=steps)
def test_bucket_meter_and_gcra_are_one_algorithm(
    quota: tuple[str, tuple[Any, ...]], steps: list[tuple[float, int]]
) -> None:
    bucket, meter, gcra = (
        kind(*quota[1]) for kind in (native.TokenBucket, native.LeakyBucket, native.Gcra)
    )
    now = 0.0
    for advance, cost in steps:
        now += advance
        decision = bucket.check(cost, now)
        assert meter.check(cost, now) == decision
        assert gcra.check(cost, now) == decision


@both
@every_kind
def test_a_clock_that_stands_still_or_steps_back_gives_nothing(
    module: ModuleType, kind: str
) -> None:
    limiter = getattr(module, kind)(5, 1.0)
    assert [bool(limiter.check(1, 100.25)) for _ in range(7)] == [True] * 5 + [False] * 2
    assert not limiter.check(1, 99.5)
    assert limiter.check(1, 103.0)


@both
def test_keys_have_quotas_of_their_own(module: ModuleType) -> None:
    limiter = keyed(module, 2, 1.0)
    assert [bool(limiter.check("a", 1, 0.0)) for _ in range(3)] == [True, True, False]
    assert limiter.check("b", 2, 0.0)
    assert not limiter.check(b"a", 1, 0.0), "text and its UTF-8 are the same key"
    assert len(limiter) == 2


@both
def test_where_all_are_limited_the_others_share_one_quota(module: ModuleType) -> None:
    limiter = keyed(module, 2, 1.0, capacity=8)
    for number in range(8):
        limiter.check(f"limited-{number}", 2, 0.0)
    admitted = [number for number in range(100) if limiter.check(f"other-{number}", 1, 0.0)]
    assert admitted == [0, 1]
    assert (len(limiter), limiter.evicted, limiter.overflowed) == (8, 0, 100)
    assert not any(limiter.check(f"limited-{number}", 1, 0.0) for number in range(8))


@both
def test_the_key_with_the_least_to_lose_makes_room(module: ModuleType) -> None:
    limiter = keyed(module, 10, 1.0, capacity=8)
    for number in range(8):
        limiter.check(f"key-{number}", number + 1, 0.0)
    limiter.check("new", 1, 0.0)
    assert limiter.evicted == 1
    assert limiter.check("key-7", 0, 0.0).remaining == 2
    # Half a second later five keys are whole again: they go first, and that is no loss.
    for number in range(4):
        limiter.check(f"newer-{number}", 1, 0.5)
    assert limiter.evicted == 1


def keyed(module: ModuleType, limit: int, period: float, capacity: int = 1024) -> Any:
    if module is twin:
        return twin.KeyedLimiter(twin.TokenBucket, limit, period, capacity=capacity)
    return native.KeyedLimiter("token_bucket", limit, period, capacity=capacity, shards=1)


@given(
    quota=quotas(BUCKETS + WINDOWS),
    steps=st.lists(
        st.tuples(st.integers(0, 4), st.floats(0, 1), st.integers(0, 9)), min_size=1, max_size=60
    ),
)
def test_keyed_twin_and_native_answer_alike(
    quota: tuple[str, tuple[Any, ...]], steps: list[tuple[int, float, int]]
) -> None:
    kind, arguments = quota
    ours = native.KeyedLimiter(ALGORITHMS[kind], *arguments)
    reference = twin.KeyedLimiter(getattr(twin, kind), *arguments)
    now = 0.0
    for number, advance, cost in steps:
        now += advance
        key = f"key {number}"
        expected = facts(reference.check(key, cost, now))
        assert facts(ours.peek(key, cost, now)) == expected
        assert facts(ours.check(key, cost, now)) == expected


# --- the Python face of the native ones ---


@every_kind
def test_each_kind_is_a_limiter_that_knows_its_quota(kind: str) -> None:
    limiter = getattr(native, kind)(10, 2.5)
    same = native.Limiter(ALGORITHMS[kind], 10, 2.5)
    assert isinstance(limiter, native.Limiter)
    for one in (limiter, same):
        quota = (one.algorithm, one.limit, one.period, one.burst)
        assert quota == (ALGORITHMS[kind], 10, 2.5, 10)
    assert repr(limiter) == f'Limiter("{ALGORITHMS[kind]}", limit=10, period=2.5, burst=10)'


def test_a_decision_reads_well() -> None:
    limiter = native.TokenBucket(1, 2.0)
    decision = limiter.check(now=0.0)
    assert decision
    assert decision == native.TokenBucket(1, 2.0).check(now=0.0)
    assert repr(limiter.check(now=0.5)) == (
        "Decision(allowed=False, limit=1, remaining=0, retry_after=1.5, reset_after=1.5, delay=0.0)"
    )


def test_peek_takes_nothing_and_reset_gives_back() -> None:
    limiter = native.FixedWindow(1, 1.0)
    assert limiter.peek(now=0.0)
    assert limiter.allow(now=0.0)
    assert not limiter.peek(now=0.0)
    limiter.reset()
    assert limiter.allow(now=0.0)


def test_without_now_it_is_the_monotonic_clock() -> None:
    limiter = native.Gcra(1, 3600.0)
    before = time.monotonic()
    assert limiter.allow()
    decision = limiter.peek(now=before)
    # The clocks agree to some microseconds; what else passes is the time it took to come here.
    assert abs(decision.retry_after - 3600.0) <= time.monotonic() - before + 0.001


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (lambda: native.TokenBucket(0, 1.0), "limit"),
        (lambda: native.TokenBucket(-1, 1.0), "units"),
        (lambda: native.TokenBucket(1 << 64, 1.0), "units"),
        (lambda: native.Gcra(1, 0.0), "period"),
        (lambda: native.Gcra(1, -1.0), "period"),
        (lambda: native.Gcra(1, math.nan), "period"),
        (lambda: native.Gcra(1, 1.0, 0), "burst"),
        (lambda: native.Limiter("fixed_window", 1, 1.0, 2), "fixed_window"),
        (lambda: native.Limiter("tokens", 1, 1.0), "token_bucket"),
        (lambda: native.KeyedLimiter("gcra", 1, 1.0, capacity=0), "capacity"),
        (lambda: native.KeyedLimiter("gcra", 1, 1.0, shards=0), "shards"),
        (lambda: native.TokenBucket(1, 1.0).check(-1), "units"),
    ],
)
def test_a_bad_number_is_named(build: Callable[[], object], named: str) -> None:
    with pytest.raises(native.QuotaError, match=named):
        build()


@pytest.mark.parametrize("now", [-1.0, math.nan, math.inf, 1e12])
def test_a_bad_instant_is_refused(now: float) -> None:
    with pytest.raises(ValueError, match="now"):
        native.TokenBucket(1, 1.0).check(now=now)


@pytest.mark.parametrize("key", [1, None, ("a",), bytearray(b"a")])
def test_a_key_is_text_or_bytes(key: Any) -> None:
    with pytest.raises(TypeError, match="str or bytes"):
        native.KeyedLimiter("gcra", 1, 1.0).check(key)


def test_threads_together_admit_exactly_the_burst() -> None:
    limiter = native.KeyedLimiter("token_bucket", 1000, 3600.0)
    admitted: list[int] = []

    def take() -> None:
        admitted.append(sum(limiter.allow("shared", now=1.0) for _ in range(1000)))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert sum(admitted) == 1000


def test_keyed_counts_and_forgets() -> None:
    limiter = native.KeyedLimiter("sliding_window", 5, 1.0, capacity=100, shards=2)
    assert limiter.capacity == 112
    limiter.check("key", now=0.0)
    assert len(limiter) == 1
    assert [limiter.reset("key"), limiter.reset("key")] == [True, False]
    assert len(limiter) == 0
