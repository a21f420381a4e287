"""Rate limiters of trunkline_native in your own service: `python examples/native/ratelimit.py`."""

import trunkline_native as native


def one_limiter() -> None:
    """At most 10 calls a second on average, 3 at once."""
    limiter = native.TokenBucket(10, period=1.0, burst=3)
    for number in range(5):
        decision = limiter.check()
        if decision:
            print(f"call {number}: go on, {decision.remaining} left")
        else:
            print(f"call {number}: 429, Retry-After: {decision.retry_after:.2f}")


def one_quota_for_each_client() -> None:
    """Each client 100 units a minute; an expensive call costs more. Memory is bounded."""
    clients = native.KeyedLimiter("sliding_window", 100, period=60.0, capacity=100_000)
    for client, cost in (("alice", 1), ("alice", 90), ("alice", 20), ("bob", 20)):
        print(f"{client}, cost {cost}: {'ok' if clients.allow(client, cost) else 'refused'}")


def a_steady_stream() -> None:
    """A queue says how long to wait, so that calls leave evenly spaced."""
    queue = native.LeakyQueue(20, period=1.0, burst=5)
    for number in range(7):
        decision = queue.check()
        print(f"job {number}:", f"in {decision.delay:.2f} s" if decision else "queue is full")


def with_a_clock_of_your_own() -> None:
    """`now` makes a test exact: no sleeping."""
    limiter = native.FixedWindow(1, period=60.0)
    print([limiter.allow(now=second) for second in (0.0, 59.9, 60.0)])


if __name__ == "__main__":
    one_limiter()
    one_quota_for_each_client()
    a_steady_stream()
    with_a_clock_of_your_own()
