"""The circuit breaker as a decorator.

In Python, because only an async function can wrap an async function so that `inspect` sees one.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, cast

from trunkline_native._native import CircuitBreaker

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def guarded(
    breaker: CircuitBreaker, function: Callable[Parameters, Result]
) -> Callable[Parameters, Result]:
    """`function`, each call of it under a permit of `breaker`."""
    if inspect.iscoroutinefunction(function):
        return cast("Callable[Parameters, Result]", _guarded_coroutine(breaker, function))

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return breaker.call(function, *args, **kwargs)

    return call


def _guarded_coroutine(
    breaker: CircuitBreaker, function: Callable[Parameters, Awaitable[Any]]
) -> Callable[Parameters, Awaitable[Any]]:
    @functools.wraps(function)
    async def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Any:
        with breaker.acquire():
            return await function(*args, **kwargs)

    return call
