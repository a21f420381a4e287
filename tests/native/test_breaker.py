"""Breaker, outlier ejection, retry budget: the native ones and their Python twins answer alike."""

import asyncio
import gc
import inspect
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trunkline_native as native
from trunkline.core.reference import breaker as twin

both = pytest.mark.parametrize("module", [twin, native], ids=["twin", "native"])

# Opens after 2 failures in a row for 5 s; 2 probes with a deadline of 10 s.
IN_A_ROW: dict[str, Any] = {
    "consecutive_failures": 2,
    "open_time": 5.0,
    "open_growth": 2.0,
    "open_max": 15.0,
    "probes": 2,
    "probe_timeout": 10.0,
}


def call(breaker: Any, now: float, ok: bool, latency: float = 0.0) -> None:
    breaker.record(breaker.acquire(now=now), ok, latency, now)


def refused_for(breaker: Any, now: float) -> float | None:
    """For how long, or None if a call may pass (it is cancelled)."""
    try:
        breaker.cancel(breaker.acquire(now=now))
    except (twin.BreakerOpenError, native.BreakerOpenError) as error:
        return error.retry_after
    return None


@both
def test_the_story_of_failures_in_a_row(module: ModuleType) -> None:
    breaker = module.CircuitBreaker(**IN_A_ROW)
    for ok in (False, True, False):
        call(breaker, 0.0, ok)
    assert breaker.state(0.0) == "closed"
    call(breaker, 0.0, False)
    assert breaker.state(0.0) == "open"
    assert refused_for(breaker, 1.0) == pytest.approx(4.0)
    # The first probe fails: open again, twice as long.
    assert breaker.state(5.0) == "half_open"
    call(breaker, 5.0, False)
    assert refused_for(breaker, 5.0) == pytest.approx(10.0)
    # Two probes are let through, a third is not; both succeed: closed, as new.
    probes = [breaker.acquire(now=15.0), breaker.acquire(now=15.0)]
    assert refused_for(breaker, 15.0) == pytest.approx(10.0)
    for probe in probes:
        assert breaker.state(16.0) == "half_open"
        breaker.record(probe, True, 1.0, 16.0)
    assert breaker.state(16.0) == "closed"
    counts = breaker.counts(16.0)
    assert (counts.calls, counts.opened, counts.refused) == (0, 2, 3)


@both
def test_the_story_of_a_failure_ratio(module: ModuleType) -> None:
    breaker = module.CircuitBreaker(failure_ratio=0.5, minimum_calls=4, window=10.0)
    for ok in (False, False, False):
        call(breaker, 0.0, ok)
    assert breaker.state(0.0) == "closed", "three calls are not enough"
    for ok in (True, True, True, False):
        call(breaker, 10.0, ok)
    assert breaker.state(10.0) == "closed", "the first three have left the window"
    for ok in (False, False):
        call(breaker, 19.0, ok)
    assert breaker.state(19.0) == "open", "three of six"


@both
def test_the_story_of_slow_calls(module: ModuleType) -> None:
    breaker = module.CircuitBreaker(slow_ratio=0.5, slow_call=1.0, minimum_calls=4, open_time=1.0)
    for latency in (0.5, 0.999, 1.0, 3.0):
        assert breaker.state(0.0) == "closed"
        call(breaker, 0.0, True, latency)
    assert breaker.state(0.0) == "open"
    call(breaker, 1.0, True, 2.0)
    assert breaker.state(1.0) == "open", "a slow probe is a failed one"


@both
def test_a_lost_probe_is_not_lost_for_ever(module: ModuleType) -> None:
    breaker = module.CircuitBreaker(**IN_A_ROW)
    for _ in range(2):
        call(breaker, 0.0, False)
    lost = [breaker.acquire(now=5.0), breaker.acquire(now=5.0)]
    assert refused_for(breaker, 14.0) == pytest.approx(1.0)
    probes = [breaker.acquire(now=15.0), breaker.acquire(now=15.0)]
    assert breaker.counts(15.0).lost_probes == 2
    for permit in lost:
        breaker.record(permit, False, 10.0, 15.0)
    assert breaker.state(15.0) == "half_open", "late news of the lost"
    for permit in probes:
        breaker.record(permit, True, 0.0, 15.0)
    assert breaker.state(15.0) == "closed"


@st.composite
def breaker_settings(draw: st.DrawFn) -> dict[str, Any]:
    ratio = st.sampled_from([0.1, 0.5, 0.75, 1.0])
    settings: dict[str, Any] = {
        "consecutive_failures": draw(st.none() | st.integers(1, 4)),
        "failure_ratio": draw(ratio),
        "slow_ratio": draw(st.none() | ratio),
        "slow_call": 1.0,
        "window": draw(st.sampled_from([1.0, 10.0, 33.3])),
        "minimum_calls": draw(st.integers(1, 8)),
        "open_time": draw(st.sampled_from([0.5, 5.0])),
        "open_growth": draw(st.sampled_from([1.0, 1.5, 2.0])),
        "open_max": 12.0,
        "probes": draw(st.integers(1, 3)),
        "probe_timeout": 7.5,
    }
    return settings


breaker_steps = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "acquire", "success", "failure", "cancel"]),
        st.one_of(st.just(0.0), st.floats(0, 0.5), st.floats(0, 15)),
        st.integers(0, 1000),
        st.sampled_from([0.0, 0.99, 1.0, 5.0]),
    ),
    min_size=1,
    max_size=120,
)


@given(settings=breaker_settings(), steps=breaker_steps)
def test_breaker_twin_and_native_answer_alike(
    settings: dict[str, Any], steps: list[tuple[str, float, int, float]]
) -> None:
    pair = [module.CircuitBreaker(**settings) for module in (twin, native)]
    held: list[list[Any]] = []
    now = 0.0
    for action, advance, choice, latency in steps:
        now += advance
        if action == "acquire":
            answers = [acquired(breaker, now) for breaker in pair]
            assert isinstance(answers[0], float) == isinstance(answers[1], float)
            if isinstance(answers[0], float):
                assert answers[0] == answers[1]
            else:
                held.append(answers)
        elif held:
            permits = held.pop(choice % len(held))
            for breaker, permit in zip(pair, permits, strict=True):
                if action == "cancel":
                    breaker.cancel(permit)
                else:
                    breaker.record(permit, action == "success", latency, now)
        assert len({breaker.state(now) for breaker in pair}) == 1
        assert len({counted(breaker, now) for breaker in pair}) == 1


def acquired(breaker: Any, now: float) -> Any:
    """The permit, or for how long it was refused."""
    try:
        return breaker.acquire(now=now)
    except (twin.BreakerOpenError, native.BreakerOpenError) as error:
        return error.retry_after


def counted(breaker: Any, now: float) -> tuple[int, ...]:
    counts = breaker.counts(now)
    names = "calls failures slow consecutive_failures opened refused lost_probes"
    return tuple(getattr(counts, name) for name in names.split())


# --- the Python face of the native one ---


class CalleeError(Exception):
    pass


class NotFoundError(Exception):
    pass


def one_failure_opens(**settings: Any) -> native.CircuitBreaker:
    return native.CircuitBreaker(consecutive_failures=1, probes=1, **settings)


def test_a_with_block_is_a_call() -> None:
    breaker = one_failure_opens()
    with breaker.acquire():
        pass
    assert breaker.counts().calls == 1
    with pytest.raises(CalleeError), breaker.acquire():
        raise CalleeError
    assert breaker.state() == "open"
    with pytest.raises(native.BreakerOpenError) as refusal:
        breaker.acquire()
    assert 0 < refusal.value.retry_after <= 5.0


def test_an_excluded_exception_is_an_answer() -> None:
    breaker = one_failure_opens(exclude=(NotFoundError,))
    with pytest.raises(NotFoundError), breaker.acquire():
        raise NotFoundError
    assert (breaker.state(), breaker.counts().calls) == ("closed", 1)


@pytest.mark.parametrize("interruption", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_an_interruption_is_no_verdict(interruption: type[BaseException]) -> None:
    breaker = one_failure_opens()
    with pytest.raises(interruption), breaker.acquire():
        raise interruption
    assert (breaker.state(), breaker.counts().calls) == ("closed", 0)


def test_a_verdict_within_the_block_counts_once() -> None:
    breaker = one_failure_opens()
    with breaker.acquire() as permit:
        breaker.record(permit, ok=False)
    assert breaker.state() == "open"
    assert breaker.counts().opened == 1


def test_a_permit_is_good_once_and_for_its_own_breaker() -> None:
    breaker, other = one_failure_opens(), one_failure_opens()
    permit = breaker.acquire()
    with pytest.raises(native.BreakerError, match="another"):
        other.record(permit)
    breaker.record(permit)
    with pytest.raises(native.BreakerError, match="before"):
        breaker.record(permit)


def test_a_forgotten_probe_gives_its_place_back_at_once() -> None:
    breaker = one_failure_opens()
    call(breaker, 0.0, False)
    probe = breaker.acquire(now=5.0)
    assert refused_for(breaker, 5.0) == pytest.approx(30.0)
    del probe
    gc.collect()
    assert refused_for(breaker, 5.0) is None


def test_it_calls_functions() -> None:
    breaker = one_failure_opens(exclude=(NotFoundError,))

    def raise_it(error: BaseException) -> None:
        raise error

    assert breaker.call(divmod, 7, 2) == (3, 1)
    assert breaker.call(int, "11", base=2) == 3
    for harmless in (NotFoundError(), KeyboardInterrupt()):
        with pytest.raises(type(harmless)):
            breaker.call(raise_it, harmless)
    assert (breaker.state(), breaker.counts().calls) == ("closed", 3)
    with pytest.raises(CalleeError):
        breaker.call(raise_it, CalleeError())
    with pytest.raises(native.BreakerOpenError):
        breaker.call(divmod, 7, 2)


def test_it_decorates_functions() -> None:
    breaker = one_failure_opens()

    @breaker
    def divide(number: int, by: int) -> float:
        """Divides."""
        return number / by

    assert (divide.__name__, divide.__doc__) == ("divide", "Divides.")
    assert divide(6, by=2) == 3.0
    with pytest.raises(ZeroDivisionError):
        divide(1, 0)
    with pytest.raises(native.BreakerOpenError):
        divide(1, 1)


def test_it_decorates_methods_and_coroutine_functions() -> None:
    breaker = one_failure_opens()

    class Client:
        @breaker
        async def fetch(self, fail: bool) -> str:
            await asyncio.sleep(0)
            if fail:
                raise CalleeError
            return "answer"

    async def scenario() -> None:
        client = Client()
        assert inspect.iscoroutinefunction(client.fetch)
        assert await client.fetch(fail=False) == "answer"
        with pytest.raises(CalleeError):
            await client.fetch(fail=True)
        with pytest.raises(native.BreakerOpenError):
            await client.fetch(fail=False)

    asyncio.run(scenario())


def test_latency_is_measured_if_not_given() -> None:
    breaker = native.CircuitBreaker(slow_ratio=1.0, slow_call=2.0, minimum_calls=1)
    breaker.record(breaker.acquire(now=1.0), now=2.5)
    assert breaker.state(2.5) == "closed"
    breaker.record(breaker.acquire(now=1.0), latency=2.0, now=2.5)
    assert breaker.counts(2.5).slow == 1
    breaker = native.CircuitBreaker(slow_ratio=1.0, slow_call=2.0, minimum_calls=1)
    breaker.record(breaker.acquire(now=1.0), now=3.0)
    assert breaker.state(3.0) == "open"


def test_reset_closes_it() -> None:
    breaker = one_failure_opens()
    call(breaker, 0.0, False)
    breaker.reset()
    assert breaker.state(0.0) == "closed"


def test_threads_get_no_more_probes_than_places() -> None:
    breaker = native.CircuitBreaker(consecutive_failures=1, probes=3)
    call(breaker, 0.0, False)
    permits: list[native.Permit] = []

    def try_often() -> None:
        for _ in range(500):
            try:
                permits.append(breaker.acquire(now=5.0))
            except native.BreakerOpenError:
                continue

    threads = [threading.Thread(target=try_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(permits) == 3
    assert breaker.counts(5.0).refused == 1997


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (native.CircuitBreaker, "at least one"),
        (lambda: native.CircuitBreaker(slow_ratio=0.5), "slow_call"),
        (lambda: native.CircuitBreaker(failure_ratio=0.0), "failure_ratio"),
        (lambda: native.CircuitBreaker(failure_ratio=1.0, window=-1.0), "window"),
        (lambda: native.CircuitBreaker(failure_ratio=1.0, probes=0), "probes"),
        (lambda: native.OutlierDetector(3, max_ejected_share=1.5), "max_ejected_share"),
        (lambda: native.OutlierDetector(3, deviations=-1.0), "deviations"),
        (lambda: native.RetryBudget(ratio=-0.1), "ratio"),
        (lambda: native.RetryBudget(window=0.0), "window"),
    ],
)
def test_a_bad_setting_is_named(build: Callable[[], object], named: str) -> None:
    with pytest.raises(native.BreakerError, match=named):
        build()


# --- outlier ejection ---


@both
def test_the_story_of_an_ejected_server(module: ModuleType) -> None:
    detector = module.OutlierDetector(4, consecutive_failures=2, base_ejection=30.0, window=10.0)
    assert detector.record(1, False, 0.0) is None
    ejection = detector.record(1, False, 0.0)
    assert (ejection.until, ejection.reason) == (30.0, "consecutive_failures")
    assert detector.ejected(1, 29.9)
    assert not detector.ejected(1, 30.0)
    # Out again at once: twice as long. The share of a half allows one more, not two.
    detector.record(1, False, 30.0)
    assert detector.record(1, False, 30.0).until == 90.0
    for index in (2, 3):
        for _ in range(2):
            detector.record(index, False, 31.0)
    assert (detector.ejected_count(31.0), detector.withheld) == (2, 1)
    # Two of four are left: that is the threshold; with one more down otherwise, there is panic.
    assert not detector.usable(1, 0, 31.0)
    assert detector.usable(1, 1, 31.0)
    assert detector.panicking(1, 31.0)


@st.composite
def detector_settings(draw: st.DrawFn) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "consecutive_failures": draw(st.none() | st.integers(1, 4)),
        "failure_ratio": draw(st.none() | st.sampled_from([0.3, 0.5, 1.0])),
        "deviations": draw(st.none() | st.sampled_from([0.5, 1.0, 1.9])),
        "minimum_calls": draw(st.integers(1, 5)),
        "minimum_servers": draw(st.integers(1, 4)),
        "window": draw(st.sampled_from([1.0, 10.0])),
        "base_ejection": 3.0,
        "max_ejection": 10.0,
        "max_ejected_share": draw(st.sampled_from([0.0, 0.2, 0.5, 1.0])),
        "panic_threshold": draw(st.sampled_from([0.0, 0.5, 1.0])),
    }
    return settings


@given(
    settings=detector_settings(),
    steps=st.lists(
        st.tuples(st.integers(0, 4), st.booleans(), st.one_of(st.floats(0, 0.2), st.floats(0, 5))),
        min_size=1,
        max_size=150,
    ),
)
def test_detector_twin_and_native_answer_alike(
    settings: dict[str, Any], steps: list[tuple[int, bool, float]]
) -> None:
    ours, reference = native.OutlierDetector(5, **settings), twin.OutlierDetector(5, **settings)
    now = 0.0
    for index, ok, advance in steps:
        now += advance
        answers = [detector.record(index, ok, now) for detector in (ours, reference)]
        assert len({answer and (answer.until, answer.reason) for answer in answers}) == 1
        for server in range(5):
            assert ours.ejected(server, now) == reference.ejected(server, now)
            assert ours.usable(server, 1, now) == reference.usable(server, 1, now)
        assert ours.withheld == reference.withheld


def test_a_report_says_what_is_known() -> None:
    detector = native.OutlierDetector(2, consecutive_failures=2)
    detector.record(0, True, 0.0)
    detector.record(0, False, 0.0)
    report = detector.report(0, 0.0)
    assert (report.calls, report.failures, report.consecutive_failures) == (2, 1, 1)
    ejection = detector.record(0, False, 0.0)
    assert detector.report(0, 1.0).ejection == ejection
    assert detector.report(0, 30.0).ejection is None
    assert detector.report(0, 30.0).repeats == 1
    assert len(detector) == 2


def test_a_server_that_is_not_there_is_an_index_error() -> None:
    detector = native.OutlierDetector(2)
    for use in (detector.ejected, detector.usable, detector.report):
        with pytest.raises(IndexError, match="no server 2, there are 2"):
            use(2)


# --- retry budget ---


@both
def test_the_story_of_a_retry_budget(module: ModuleType) -> None:
    budget = module.RetryBudget(ratio=0.2, minimum_per_second=0.5, window=10.0)
    assert [budget.withdraw(0.0) for _ in range(6)] == [True] * 5 + [False]
    for _ in range(10):
        budget.deposit(1.0)
    assert [budget.withdraw(1.0) for _ in range(3)] == [True, True, False]
    assert budget.balance(1.0) == pytest.approx(0.0)
    # Nine seconds on, the first five retries have left the window and the requests of 1.0 have not.
    assert budget.balance(10.5) == pytest.approx(5.0)


@given(
    ratio=st.floats(0, 2),
    minimum=st.floats(0, 5),
    steps=st.lists(st.tuples(st.booleans(), st.floats(0, 3)), min_size=1, max_size=150),
)
def test_budget_twin_and_native_answer_alike(
    ratio: float, minimum: float, steps: list[tuple[bool, float]]
) -> None:
    ours, reference = (module.RetryBudget(ratio, minimum, 10.0) for module in (native, twin))
    now = 0.0
    for is_request, advance in steps:
        now += advance
        if is_request:
            ours.deposit(now)
            reference.deposit(now)
        else:
            assert ours.withdraw(now) == reference.withdraw(now)
        assert ours.balance(now) == reference.balance(now)
