"""Wait for a condition, never for a time.

``wait_until`` polls quickly and fails loudly; it is the only place of the test kit that sleeps.
"""

import time
from collections.abc import Callable

# Short beside any process start (ms), long beside the cost of a check (µs).
POLL_INTERVAL_S = 0.01


def wait_until(check: Callable[[], object], *, timeout_s: float, what: str) -> None:
    """Return as soon as ``check()`` is true.

    Args:
        check: Called again and again; its truth value is the condition.
        timeout_s: Seconds after which the wait is given up.
        what: Names the condition in the error.

    Raises:
        TimeoutError: If the condition did not come true in time.
    """
    deadline = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s} s for {what}")
        time.sleep(POLL_INTERVAL_S)
