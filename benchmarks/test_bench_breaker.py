"""One call through a closed circuit breaker: ours, its Python twin, and the packages in common use.

Each timing has its correctness beside it: the same subject refuses after three failures.
"""

import functools
import time
from collections.abc import Callable

import circuitbreaker
import pybreaker
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import trunkline_native as native
from trunkline.core.reference import breaker as twin

Work = Callable[[], bool]
Guard = Callable[[Work], Work]


class CalleeError(Exception):
    pass


def native_decorator() -> Guard:
    return native.CircuitBreaker(consecutive_failures=3)


def native_call() -> Guard:
    breaker = native.CircuitBreaker(consecutive_failures=3)
    return lambda work: functools.partial(breaker.call, work)


def native_with_block() -> Guard:
    breaker = native.CircuitBreaker(consecutive_failures=3)

    def guard(work: Work) -> Work:
        def call() -> bool:
            with breaker.acquire():
                return work()

        return call

    return guard


def native_record() -> Guard:
    return acquire_and_record(native.CircuitBreaker(consecutive_failures=3))


def twin_record() -> Guard:
    return acquire_and_record(twin.CircuitBreaker(consecutive_failures=3))


def acquire_and_record(breaker: native.CircuitBreaker | twin.CircuitBreaker) -> Guard:
    def guard(work: Work) -> Work:
        def call() -> bool:
            permit = breaker.acquire(time.monotonic())
            ok = False
            try:
                ok = work()
            finally:
                breaker.record(permit, ok, 0.0, time.monotonic())  # type: ignore[arg-type]
            return ok

        return call

    return guard


def pybreaker_decorator() -> Guard:
    # It raises its own error already on the call that trips it, unless told otherwise.
    breaker = pybreaker.CircuitBreaker(fail_max=3, throw_new_error_on_trip=False)
    return lambda work: functools.partial(breaker.call, work)


def circuitbreaker_decorator() -> Guard:
    breaker = circuitbreaker.CircuitBreaker(failure_threshold=3)
    return breaker.decorate


SUBJECTS: dict[str, Callable[[], Guard]] = {
    "native decorator": native_decorator,
    "native call": native_call,
    "native with block": native_with_block,
    "native acquire, record": native_record,
    "twin acquire, record": twin_record,
    "pybreaker": pybreaker_decorator,
    "circuitbreaker": circuitbreaker_decorator,
}
REFUSALS = (
    native.BreakerOpenError,
    twin.BreakerOpenError,
    pybreaker.CircuitBreakerError,
    circuitbreaker.CircuitBreakerError,
)


def succeed() -> bool:
    return True


def fail() -> bool:
    raise CalleeError


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.benchmark(group="one call through a closed breaker")
def test_call(benchmark: BenchmarkFixture, subject: str) -> None:
    failing = SUBJECTS[subject]()(fail)
    for _ in range(3):
        with pytest.raises(CalleeError):
            failing()
    with pytest.raises(REFUSALS):
        failing()

    assert benchmark.pedantic(SUBJECTS[subject]()(succeed), rounds=20, iterations=5000)


@pytest.mark.benchmark(group="retry budget")
def test_retry_budget(benchmark: BenchmarkFixture) -> None:
    budget = native.RetryBudget(ratio=0.2, minimum_per_second=0.0)
    for _ in range(10):
        budget.deposit(now=0.0)
    assert [budget.withdraw(now=0.0) for _ in range(3)] == [True, True, False]
    benchmark.pedantic(budget.deposit, rounds=20, iterations=20000)
