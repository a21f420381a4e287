"""The extension module. Times are seconds (float) at this boundary; inside they are nanoseconds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import ParamSpec, Self, TypeVar, final

from typing_extensions import disjoint_base

__all__ = [
    "BalanceError",
    "Balancer",
    "BoundedLoadRing",
    "BreakerCounts",
    "BreakerError",
    "BreakerOpenError",
    "CircuitBreaker",
    "Decision",
    "Ejection",
    "Engine",
    "FixedWindow",
    "Gcra",
    "HashRing",
    "JumpRing",
    "KetamaRing",
    "KeyedLimiter",
    "LeakyBucket",
    "LeakyQueue",
    "Limiter",
    "MaglevRing",
    "NoServerError",
    "OutlierDetector",
    "Permit",
    "PlanError",
    "QuotaError",
    "RendezvousRing",
    "Request",
    "RetryBudget",
    "RingEmptyError",
    "RingError",
    "Server",
    "ServerReport",
    "SlidingWindow",
    "TokenBucket",
    "build_info",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")

def build_info() -> dict[str, str]:
    """What this binary was made of and with: `version`, `profile`, `target`, `rustc` and `commit` (`unknown` without a checkout)."""

# --- errors ---------------------------------------------------------------------------------------

class PlanError(ValueError):
    """A plan that the engine refuses, and why: `errors`. Nothing has changed."""

    errors: list[dict[str, str]]
    """`{"path": "pools[0].servers[1]", "message": …}` for each mistake."""

class RingError(ValueError):
    """A ring cannot be built or changed as asked."""

class RingEmptyError(LookupError):
    """The ring has no node to answer with."""

class QuotaError(ValueError):
    """A limit, period, burst or cost is out of range."""

class BalanceError(ValueError):
    """A balancer cannot be built or changed as asked."""

class NoServerError(LookupError):
    """No server is eligible right now."""

class BreakerError(ValueError):
    """A breaker setting is out of range, or a permit is not for this use."""

class BreakerOpenError(RuntimeError):
    """The breaker refuses the call."""

    retry_after: float
    """Seconds until a call may pass."""

# --- hashring -------------------------------------------------------------------------------------

@disjoint_base
class HashRing:
    """Named, weighted nodes and a table that says which of them a key belongs to.

    Lookups answer with the very `str` a node was added with, and are safe from any number of threads. Changes build the
    table anew (up to 3 ms for a hundred nodes). Keys are bytes; text stands for its UTF-8 bytes.

    Args:
        kind: `ketama`, `maglev`, `jump`, `rendezvous` or `modulo`.
        nodes: Weights by name (0 = gets nothing), or names of weight 1.

    Raises:
        RingError: An unknown kind, an empty or repeated name, a weight below 0 or above 2**32 - 1.
    """

    def __new__(cls, kind: str, nodes: Mapping[str, int] | Iterable[str] | None = None) -> Self: ...
    def lookup(self, key: bytes | str) -> str:
        """The node of `key`. Raises `RingEmptyError` if no node has weight."""
    def lookup_many(self, keys: Iterable[bytes | str]) -> list[str]:
        """The node of each key, in order; a third of the time of as many `lookup`s."""
    def lookup_n(self, key: bytes | str, n: int) -> list[str]:
        """The first `n` distinct nodes in the key's order of preference; fewer if fewer have weight."""
    def add(self, name: str, weight: int = 1) -> None:
        """Adds a node. Raises `RingError`; the ring is then unchanged."""
    def remove(self, name: str) -> None:
        """Removes a node. Raises `RingError` if it is not there."""
    def set_weight(self, name: str, weight: int) -> None:
        """Gives a node another weight. Raises `RingError`; the ring is then unchanged."""
    @property
    def nodes(self) -> dict[str, int]:
        """Weights by name: a copy."""
    def __len__(self) -> int: ...
    def __contains__(self, name: str, /) -> bool: ...

@final
class KetamaRing(HashRing):
    """160 points per unit of weight on a circle; the choices of nginx's `hash KEY consistent`.

    Raises:
        RingError: As `HashRing`, or the weights add up to more than 100 000.
    """

    def __new__(cls, nodes: Mapping[str, int] | Iterable[str] | None = None) -> Self: ...

@final
class MaglevRing(HashRing):
    """A table of `table_size` slots (a prime) filled in turns (NSDI 2016); shares exact to one slot.

    Raises:
        RingError: As `HashRing`, or `table_size` is not a prime between the number of nodes and 2**24.
    """

    def __new__(
        cls, nodes: Mapping[str, int] | Iterable[str] | None = None, *, table_size: int = 65537
    ) -> Self: ...

@final
class JumpRing(HashRing):
    """Jump consistent hash (Lamping and Veach 2014): no memory; positions decide, so add and remove at the end."""

    def __new__(cls, nodes: Mapping[str, int] | Iterable[str] | None = None) -> Self: ...

@final
class RendezvousRing(HashRing):
    """Highest random weight: every node bids for every key; O(nodes), and never moves a key without need."""

    def __new__(cls, nodes: Mapping[str, int] | Iterable[str] | None = None) -> Self: ...

@final
class BoundedLoadRing:
    """A ring in which no node holds more than `factor` times its share; a full one passes keys on.

    Args:
        nodes: As for `HashRing`.
        factor: The bound, above 1.
        ring: The kind of ring that decides before the bound does.

    Raises:
        RingError: As `HashRing`, or `factor` is not a finite number above 1.
    """

    def __new__(
        cls,
        nodes: Mapping[str, int] | Iterable[str] | None = None,
        *,
        factor: float = 1.25,
        ring: str = "ketama",
    ) -> Self: ...
    def lookup(self, key: bytes | str) -> str:
        """Where `key` would be placed now. Raises `RingEmptyError` if no node has weight."""
    def acquire(self, key: bytes | str) -> str:
        """Places one item of `key`, counts it, and answers where. Raises `RingEmptyError`."""
    def release(self, name: str) -> None:
        """Takes one item back from a node. Raises `RingError` if the node is unknown."""
    def add(self, name: str, weight: int = 1) -> None:
        """Adds a node that holds nothing. Raises `RingError`; the ring is then unchanged."""
    def remove(self, name: str) -> None:
        """Removes a node and forgets its load. Raises `RingError` if it is not there."""
    def set_weight(self, name: str, weight: int) -> None:
        """Gives a node another weight; its load stays. Raises `RingError`; the ring is then unchanged."""
    @property
    def nodes(self) -> dict[str, int]:
        """Weights by name: a copy."""
    @property
    def loads(self) -> dict[str, int]:
        """Items by name: a copy."""
    def __len__(self) -> int: ...
    def __contains__(self, name: str, /) -> bool: ...

# --- ratelimit ------------------------------------------------------------------------------------

@final
class Decision:
    """The answer to one check; true if the call may go on. Made by limiters only."""

    @property
    def allowed(self) -> bool:
        """Whether the call may go on (with a `LeakyQueue`: after `delay`)."""
    @property
    def limit(self) -> int:
        """Units per period, as the quota says."""
    @property
    def remaining(self) -> int:
        """Whole units that could still be taken right now; at most the burst."""
    @property
    def retry_after(self) -> float:
        """Seconds until the same call would be admitted, if nobody else came; `inf` if it never can be."""
    @property
    def reset_after(self) -> float:
        """Seconds until the key is as good as new, if nobody came."""
    @property
    def delay(self) -> float:
        """Seconds to hold an allowed call back; 0 for everything but a `LeakyQueue`."""
    def __bool__(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...

@disjoint_base
class Limiter:
    """A rate limiter: `limit` units per `period` seconds, at most `burst` at once.

    Safe to share between threads. Exact: integer nanoseconds inside, no drift.

    Args:
        algorithm: `token_bucket`, `leaky_meter`, `leaky_queue`, `fixed_window`, `sliding_window` or `gcra`.
        limit: Units per period, 1 to 2**60.
        period: Seconds, up to 2**60 nanoseconds.
        burst: Units a fresh key may take at once; `limit` if not given. The window algorithms take no other.

    Raises:
        QuotaError: One of them is out of range.
    """

    def __new__(
        cls, algorithm: str, limit: int, period: float, burst: int | None = None
    ) -> Self: ...
    def check(self, cost: int = 1, now: float | None = None) -> Decision:
        """Takes `cost` units if they are there. `now`: seconds of a monotonic clock, `time.monotonic()` if not given."""
    def allow(self, cost: int = 1, now: float | None = None) -> bool:
        """`check(...).allowed`, cheaper."""
    def peek(self, cost: int = 1, now: float | None = None) -> Decision:
        """The decision `check` would take, without taking anything."""
    def reset(self) -> None:
        """Forgets everything."""
    @property
    def algorithm(self) -> str:
        """The name it was made with."""
    @property
    def limit(self) -> int:
        """Units per period."""
    @property
    def period(self) -> float:
        """Seconds."""
    @property
    def burst(self) -> int:
        """Units that a fresh key may take at once."""

@final
class TokenBucket(Limiter):
    """A bucket of `burst` tokens that regains `limit` tokens per period."""

    def __new__(cls, limit: int, period: float, burst: int | None = None) -> Self: ...

@final
class LeakyBucket(Limiter):
    """A leaky bucket as a meter: the same decisions as a token bucket, seen from the other side."""

    def __new__(cls, limit: int, period: float, burst: int | None = None) -> Self: ...

@final
class LeakyQueue(Limiter):
    """A leaky bucket as a queue: allowed calls leave evenly spaced, after `Decision.delay`; at most `burst` units in it."""

    def __new__(cls, limit: int, period: float, burst: int | None = None) -> Self: ...

@final
class Gcra(Limiter):
    """The generic cell rate algorithm (ITU-T I.371): the decisions of a token bucket from one timestamp."""

    def __new__(cls, limit: int, period: float, burst: int | None = None) -> Self: ...

@final
class FixedWindow(Limiter):
    """At most `limit` units in each window; windows are the multiples of the period on the clock."""

    def __new__(cls, limit: int, period: float) -> Self: ...

@final
class SlidingWindow(Limiter):
    """At most `limit` units in the period that ends now, estimated from two counters."""

    def __new__(cls, limit: int, period: float) -> Self: ...

@final
class KeyedLimiter:
    """One quota for each of many keys, in a bounded table that never forgets a limited key.

    40 bytes per key of capacity, reserved at the start, touched as keys come. In a full table a new key takes the place of
    one whose quota is whole again, else of the one that would be soonest (`evicted`); where only limited keys stand, it
    shares one quota with the others in that position (`overflowed`).

    Args:
        algorithm: As for `Limiter`.
        limit: As for `Limiter`.
        period: As for `Limiter`.
        burst: As for `Limiter`.
        capacity: Keys there is room for, rounded up to a multiple of 8 x shards.
        shards: Independently locked parts of the table, 1 to 4096.

    Raises:
        QuotaError: One of them is out of range.
    """

    def __new__(
        cls,
        algorithm: str,
        limit: int,
        period: float,
        burst: int | None = None,
        *,
        capacity: int = 65536,
        shards: int = 16,
    ) -> Self: ...
    def check(self, key: str | bytes, cost: int = 1, now: float | None = None) -> Decision:
        """Takes `cost` units from the key's quota if they are there. Text and its UTF-8 bytes are the same key."""
    def allow(self, key: str | bytes, cost: int = 1, now: float | None = None) -> bool:
        """`check(...).allowed`, cheaper."""
    def peek(self, key: str | bytes, cost: int = 1, now: float | None = None) -> Decision:
        """The decision for a key without taking anything; an unknown key is answered for as a fresh one."""
    def reset(self, key: str | bytes) -> bool:
        """Forgets a key; whether it was known."""
    def __len__(self) -> int: ...
    @property
    def capacity(self) -> int:
        """Keys there is room for."""
    @property
    def evicted(self) -> int:
        """Keys forgotten, for a new one's sake, with part of their quota still used. If it grows, raise the capacity."""
    @property
    def overflowed(self) -> int:
        """Calls judged by a shared quota, because all places their key could take held limited keys."""

# --- balance --------------------------------------------------------------------------------------

@final
class Server:
    """One server's live state. Give it to any number of balancers: they share its health and its counters.

    `now` is seconds of a monotonic clock, `time.monotonic()` if not given.

    Args:
        name: What identifies it; also its place on a ring.
        weight: Share relative to the servers of the same priority; 0 = none.
        priority: 0 serves first; higher numbers, up to 255, are backups.
        max_active: Most requests in flight; 0 = no limit.

    Raises:
        BalanceError: A number is out of range.
    """

    def __new__(
        cls, name: str, weight: int = 1, priority: int = 0, *, max_active: int = 0
    ) -> Self: ...
    @property
    def name(self) -> str:
        """What it was named; unique in a balancer."""
    @property
    def weight(self) -> int:
        """Its share beside the others; 0 = picked by no algorithm."""
    @property
    def priority(self) -> int:
        """0 serves first, higher numbers when all lower ones are down."""
    @property
    def max_active(self) -> int:
        """Requests in flight from which it counts as full; 0 = no limit."""
    @property
    def healthy(self) -> bool:
        """What `set_healthy` said last; true at first."""
    @property
    def draining(self) -> bool:
        """Whether it gets no new requests."""
    @property
    def active(self) -> int:
        """Requests in flight."""
    @property
    def latency(self) -> float:
        """Seconds: the moving average of `peak_ewma`, which jumps up to peaks and decays slowly; 0 = not measured."""
    def set_weight(self, weight: int) -> None:
        """Takes effect at once, but in the hashing algorithms only 0 does: others with `Balancer.rebuild`."""
    def set_max_active(self, max_active: int) -> None:
        """Changes how many requests may be in flight; 0 = no limit."""
    def set_healthy(self, healthy: bool, *, now: float | None = None) -> bool:
        """Takes down a health check's verdict; going up begins slow start. Whether it was news."""
    def set_draining(self, draining: bool) -> None:
        """Stops or resumes new requests; those in flight go on."""
    def eject(self, duration: float, *, now: float | None = None) -> None:
        """Leaves it out for `duration` seconds (0 = ends an ejection); its return begins slow start."""
    def ejected(self, *, now: float | None = None) -> bool:
        """Whether it is left out now."""
    def restart_slow_start(self, *, now: float | None = None) -> None:
        """Begins slow start, for a server that joins a running pool."""
    def begin(self) -> None:
        """Counts a request in. `Balancer.request` does it for you."""
    def finish(self, latency: float | None = None, *, now: float | None = None) -> None:
        """Counts a request out and takes its latency, in seconds, into the average."""

@final
class Balancer:
    """Picks servers. Safe to share between threads.

    Not eligible is a server that is unhealthy, ejected, draining, full, of weight 0, or tried already. The lowest priority
    number with an eligible server serves. The algorithm chooses among what is left.

    Args:
        algorithm: `round_robin`, `weighted_round_robin`, `least_connections`, `weighted_least_connections`, `hash`,
            `consistent_hash`, `power_of_two` or `peak_ewma`.
        servers: Servers, or names, or weights by name.
        ring: For `consistent_hash`: `ketama`, `maglev`, `jump`, `rendezvous` or `modulo`.
        load_factor: For the hashing algorithms: no server holds more than this many times its share of the requests in
            flight; above 1.
        slow_start: Seconds in which a server that came back reaches its full share, linearly from 10 %.
        panic_threshold: Share of healthy servers (0 to 1) below which health is ignored; 0 = never.
        seed: Where turns and random choices begin; random if not given.

    Raises:
        BalanceError: A value is out of range, or two servers have one name.
        RingError: An unknown `ring`.
    """

    def __new__(
        cls,
        algorithm: str,
        servers: Mapping[str, int] | Iterable[str | Server],
        *,
        ring: str = "ketama",
        load_factor: float | None = None,
        slow_start: float = 0.0,
        panic_threshold: float = 0.0,
        seed: int | None = None,
    ) -> Self: ...
    @property
    def algorithm(self) -> str:
        """The name it was made with."""
    @property
    def servers(self) -> tuple[Server, ...]:
        """All servers, in the order given."""
    def pick(
        self,
        key: bytes | str | None = None,
        *,
        tried: Iterable[Server] | None = None,
        now: float | None = None,
    ) -> Server:
        """The server for a request, not counted in; `key` matters to the hashing algorithms. Raises `NoServerError`."""
    def request(
        self, key: bytes | str | None = None, *, tried: Iterable[Server] | None = None
    ) -> Request:
        """`with balancer.request(key) as server:` picks, counts in and out, and measures what did not raise."""
    def rebuild(self) -> None:
        """Takes the servers' weights of this moment into the table of a hashing algorithm; turns begin anew."""
    def explain(self, *, now: float | None = None) -> dict[str, str]:
        """Each server's state by its name.

        `eligible`, `warming`, `standby` (a lower priority number serves), `panic` (used though not healthy),
        `unhealthy`, `ejected`, `draining`, `weight_zero` or `full`.
        """

@final
class Request:
    """Made by `Balancer.request`: one request at a time, counted while the `with` block runs."""

    def __enter__(self) -> Server: ...
    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

# --- breaker --------------------------------------------------------------------------------------

@final
class CircuitBreaker:
    """Stops calling what keeps failing, and tries again carefully. Safe to share between threads and tasks.

        with breaker.acquire():          # BreakerOpenError if open
            answer = await client.get(url)

        @breaker
        async def fetch(url): ...

    An exception is a failure, unless it is of an `exclude` type (a success: the callee answered) or not an `Exception`
    (neither: a cancelled task says nothing about the callee).

    Args:
        consecutive_failures: Failures in a row that open it.
        failure_ratio: Share of failures in the window that opens it, in (0, 1].
        slow_ratio: Share of slow calls in the window that opens it, in (0, 1].
        slow_call: Seconds from which a call is slow.
        window: Seconds the ratios look back on.
        minimum_calls: Calls in the window before the ratios are looked at.
        open_time: Seconds it stays open the first time.
        open_growth: Factor by which that grows each time it opens again without having closed.
        open_max: Seconds it stays open at most.
        probes: Calls let through at once when half-open, and successes needed to close.
        probe_timeout: Seconds after which an unrecorded probe gives its place back.
        exclude: Exception types that count as success.

    Raises:
        BreakerError: A setting is out of range, or none of the three rules is set.
    """

    def __new__(
        cls,
        *,
        consecutive_failures: int | None = None,
        failure_ratio: float | None = None,
        slow_ratio: float | None = None,
        slow_call: float = 0.0,
        window: float = 10.0,
        minimum_calls: int = 20,
        open_time: float = 5.0,
        open_growth: float = 1.0,
        open_max: float = 60.0,
        probes: int = 3,
        probe_timeout: float = 30.0,
        exclude: tuple[type[BaseException], ...] | None = None,
    ) -> Self: ...
    def acquire(self, now: float | None = None) -> Permit:
        """Leave to make one call.

        Raises:
            BreakerOpenError: Not now; its `retry_after` says for how many seconds.
        """
    def record(
        self,
        permit: Permit,
        ok: bool = True,
        latency: float | None = None,
        now: float | None = None,
    ) -> None:
        """Tells how the call ended. `latency`: seconds, the time since `acquire` if not given.

        Raises:
            BreakerError: The permit was used before, or is another breaker's.
        """
    def cancel(self, permit: Permit) -> None:
        """Gives a permit back without a verdict. Raises as `record` does."""
    def call(self, function: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Calls `function` under a permit; its exception is the verdict. Raises as `acquire` does."""
    def __call__(self, function: Callable[_P, _R], /) -> Callable[_P, _R]:
        """Decorates a function or coroutine function: each call needs a permit, its exception is the verdict."""
    def state(self, now: float | None = None) -> str:
        """`closed`, `open` or `half_open`."""
    def counts(self, now: float | None = None) -> BreakerCounts:
        """What happened in the window, and since the breaker was made."""
    def reset(self) -> None:
        """Closes it by hand."""

@final
class Permit:
    """Leave to make one call; a context manager that records how its body ended. Forgotten, it is cancelled."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

@final
class BreakerCounts:
    """Calls, failures and slow calls in the window; opened, refused and lost probes since the breaker was made."""

    @property
    def calls(self) -> int:
        """Calls in the window."""
    @property
    def failures(self) -> int:
        """Failures in the window."""
    @property
    def slow(self) -> int:
        """Slow calls in the window."""
    @property
    def consecutive_failures(self) -> int:
        """Failures in a row, up to now."""
    @property
    def opened(self) -> int:
        """How often it opened."""
    @property
    def refused(self) -> int:
        """Calls that it refused."""
    @property
    def lost_probes(self) -> int:
        """Probes that nobody recorded in time."""
    def __eq__(self, other: object, /) -> bool: ...

@final
class OutlierDetector:
    """Leaves servers out for a while that fail, or fail more than the others. Safe to share between threads.

    Args:
        servers: How many; they are addressed by index.
        consecutive_failures: Failures in a row that eject.
        failure_ratio: Share of failures in the window that ejects, in (0, 1].
        deviations: Standard deviations below the pool's mean success rate that eject.
        minimum_calls: Calls of a server in the window before ratio or rate are looked at.
        minimum_servers: Servers with so many calls before they are compared.
        window: Seconds ratio and rate look back on.
        base_ejection: Seconds out, times the ejections in a row.
        max_ejection: Seconds out at most.
        max_ejected_share: Share of servers out at the same time, at most (but one of several may always be).
        panic_threshold: Share of servers left below which ejections should be ignored.

    Raises:
        BreakerError: A setting is out of range.
    """

    def __new__(
        cls,
        servers: int,
        *,
        consecutive_failures: int | None = 5,
        failure_ratio: float | None = None,
        deviations: float | None = None,
        minimum_calls: int = 100,
        minimum_servers: int = 5,
        window: float = 10.0,
        base_ejection: float = 30.0,
        max_ejection: float = 300.0,
        max_ejected_share: float = 0.5,
        panic_threshold: float = 0.5,
    ) -> Self: ...
    def record(self, index: int, ok: bool, now: float | None = None) -> Ejection | None:
        """Tells how a call ended; the ejection, if this ended in one. Raises IndexError, like all that take an index."""
    def ejected(self, index: int, now: float | None = None) -> bool:
        """Whether a server is out now."""
    def usable(self, index: int, otherwise_down: int = 0, now: float | None = None) -> bool:
        """Not ejected, or there is panic."""
    def panicking(self, otherwise_down: int = 0, now: float | None = None) -> bool:
        """Whether too few are left; `otherwise_down` are unusable for other reasons and not among the ejected."""
    def ejected_count(self, now: float | None = None) -> int:
        """How many are out now."""
    def report(self, index: int, now: float | None = None) -> ServerReport:
        """What is known about one server."""
    @property
    def withheld(self) -> int:
        """Ejections not made because too many servers were out."""
    def __len__(self) -> int: ...

@final
class Ejection:
    """Until when a server is out, in seconds of the clock, and by which rule."""

    @property
    def until(self) -> float:
        """Seconds on the clock of `now`."""
    @property
    def reason(self) -> str:
        """`consecutive_failures`, `failure_ratio` or `success_rate`."""
    def __eq__(self, other: object, /) -> bool: ...

@final
class ServerReport:
    """What a detector knows about one server."""

    @property
    def ejection(self) -> Ejection | None:
        """The present one, if it is out."""
    @property
    def repeats(self) -> int:
        """Ejections in a row; each is longer than the one before."""
    @property
    def calls(self) -> int:
        """Calls in the window."""
    @property
    def failures(self) -> int:
        """Failures in the window."""
    @property
    def consecutive_failures(self) -> int:
        """Failures in a row, up to now."""
    def __eq__(self, other: object, /) -> bool: ...

@final
class RetryBudget:
    """Retries as a share of requests: in any window at most `ratio` x requests + `minimum_per_second` x window.

    Raises:
        BreakerError: A number is negative or not finite, or the window is under 10 ns.
    """

    def __new__(
        cls, ratio: float = 0.2, minimum_per_second: float = 10.0, window: float = 10.0
    ) -> Self: ...
    def deposit(self, now: float | None = None) -> None:
        """Counts a request (the first try)."""
    def withdraw(self, now: float | None = None) -> bool:
        """Takes one retry, if there is one."""
    def balance(self, now: float | None = None) -> float:
        """Retries left."""

# --- engine ---------------------------------------------------------------------------------------

@final
class Engine:
    """The data plane: worker threads that accept, route, balance and relay without the interpreter.

    Raises:
        OSError: The threads cannot be started.
    """

    def __new__(cls, threads: int) -> Self: ...
    def apply(self, plan: bytes, *, bind: bool = True) -> bytes:
        """Compiles a plan (JSON) and serves it: all or nothing. With `bind=False` no socket or file is opened.

        Returns:
            JSON: `generation`, `build_us`, `swap_us`, and `warnings`: what is served without, each with `path` and `message`.

        Raises:
            PlanError: With every mistake; what was served goes on.
            OSError: An address (then the error's `filename`) or the access log cannot be opened; what was served goes on.
            RuntimeError: The engine drains: it opens no listener again.
        """
    def status(self) -> bytes:
        """JSON: listeners, routes, pools with servers, limiters, breakers, recent errors."""
    def metrics(self) -> bytes:
        """Prometheus text format 0.0.4."""
    def explain(self, request: bytes) -> bytes:
        """JSON in (`listener`, `method`, `url`, `headers`, `client`), JSON out: route, near misses, filters, server.

        Raises:
            ValueError: The question is malformed.
            LookupError: There is no such listener.
        """
    def set_server(
        self,
        pool: str,
        server: str,
        *,
        weight: int | None = None,
        enabled: bool | None = None,
        draining: bool | None = None,
    ) -> None:
        """Changes one server at run time. Raises LookupError if there is none of that name."""
    def set_challenges(self, challenges: bytes) -> None:
        """Answers HTTP-01 challenges, before any route: JSON of key authorizations by token. What was answered before is forgotten.

        Raises:
            ValueError: That is no such JSON.
        """
    def set_challenge_certificates(self, certificates: bytes) -> None:
        """Answers TLS-ALPN-01 challenges: JSON of `{"certificate": PEM, "key": PEM}` by host name. What was answered before is forgotten.

        Raises:
            ValueError: That is no such JSON, or something is no certificate or key; all stays as it was then.
        """
    def set_unhealthy(self, pool: str, server: str, detail: str) -> bool:
        """Takes a server for down until its checks say otherwise; false if there is none of that name, or it is not checked."""
    def listeners_ready(self) -> bool:
        """Whether every listener of the plan accepts connections."""
    def reopen_logs(self) -> None:
        """Opens the access log anew, after it was moved away."""
    def adopt(self, descriptors: Sequence[int], *, joins: bool = False) -> None:
        """Takes over listening sockets that somebody else has opened; plans to come use them in place of new ones.

        Args:
            descriptors: Their numbers; the caller keeps and closes its own.
            joins: Whether another process hands over: the next plan's nameserver shares its addresses with it.

        Raises:
            OSError: One is no listening TCP socket; then none is taken.
        """
    def release_unclaimed(self) -> list[str]:
        """Closes adopted sockets that no plan has asked for, and returns their addresses."""
    def descriptors(self) -> list[int]:
        """Numbers of the listening sockets, to hand to another process. They are open until the next plan, drain or stop."""
    def drain(self) -> None:
        """Stops accepting; idle connections close, the others after their present request."""
    def retire(self) -> None:
        """Stops accepting, because another process does on the same sockets; idle connections stay for one more request."""
    def stop(self, grace_seconds: float, linger_seconds: float = 0.0) -> bool:
        """Drains, waits up to `grace_seconds`, ends the workers. True if no connection had to be cut.

        What has retired does so for `linger_seconds` before it drains.
        """
