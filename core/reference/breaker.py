"""Circuit breaker, outlier ejection and retry budget in plain Python.

The readable specification of `native/crates/breaker`: the same answers, tested side by side. Times
are seconds outside and whole nanoseconds inside. Not for production: not thread-safe.
"""

from collections import deque
from dataclasses import dataclass, field
from math import sqrt
from typing import Literal

from trunkline.core.reference.ratelimit import to_nanoseconds, to_seconds

Phase = Literal["closed", "open", "half_open"]

# A window is counted in tenths: what slides out at once is a tenth.
BUCKETS = 10


class Window:
    """Sums over the last `window` seconds, in ten time buckets, the current one partly filled."""

    def __init__(self, window: float, counters: int) -> None:
        self.bucket_ns = max(to_nanoseconds(window) // BUCKETS, 1)
        self.newest = 0
        self.counters = counters
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self.buckets = deque([[0] * self.counters for _ in range(BUCKETS)], maxlen=BUCKETS)

    def slide(self, now_ns: int) -> None:
        """Starts the buckets up to `now_ns`; as many old ones fall out."""
        current = now_ns // self.bucket_ns
        for _ in range(min(max(current - self.newest, 0), BUCKETS)):
            self.buckets.append([0] * self.counters)
        self.newest = max(self.newest, current)

    def add(self, now_ns: int, *amounts: int) -> None:
        """Counts in the current bucket."""
        self.slide(now_ns)
        for index, amount in enumerate(amounts):
            self.buckets[-1][index] += amount

    def sums(self, now_ns: int) -> list[int]:
        """The counters over the window."""
        self.slide(now_ns)
        return [sum(column) for column in zip(*self.buckets, strict=True)]


class BreakerOpenError(RuntimeError):
    """The breaker refuses the call; `retry_after` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"the breaker is open for another {retry_after:.3f} s")
        self.retry_after = retry_after


@dataclass(frozen=True)
class Permit:
    """Leave to make one call: after how many phase changes it was given, and the probe's number."""

    epoch: int
    acquired_ns: int
    probe: int = 0


@dataclass(frozen=True)
class BreakerCounts:
    """What a breaker has counted."""

    calls: int
    failures: int
    slow: int
    consecutive_failures: int
    opened: int
    refused: int
    lost_probes: int


@dataclass
class CircuitBreaker:
    """Closed, open, half-open; transition table in `native/crates/breaker/src/breaker.rs`."""

    consecutive_failures: int | None = None
    failure_ratio: float | None = None
    slow_ratio: float | None = None
    slow_call: float = 0.0
    window: float = 10.0
    minimum_calls: int = 20
    open_time: float = 5.0
    open_growth: float = 1.0
    open_max: float = 60.0
    probes: int = 3
    probe_timeout: float = 30.0

    phase: Phase = field(default="closed", init=False)
    epoch: int = field(default=0, init=False)
    in_a_row: int = field(default=0, init=False)
    open_until_ns: int = field(default=0, init=False)
    open_for_ns: int = field(default=0, init=False)
    # Number of the probe and its deadline; None is a free place.
    places: list[tuple[int, int] | None] = field(default_factory=list, init=False)
    last_probe: int = field(default=0, init=False)
    probe_successes: int = field(default=0, init=False)
    opened: int = field(default=0, init=False)
    refused: int = field(default=0, init=False)
    lost_probes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.sums = Window(self.window, counters=3)
        self.places = [None] * self.probes

    def acquire(self, now: float) -> Permit:
        """Leave to make one call, or `BreakerOpenError`."""
        now_ns = to_nanoseconds(now)
        if self.phase == "closed":
            return Permit(self.epoch, now_ns)
        if self.phase == "open":
            if now_ns < self.open_until_ns:
                raise self.refusal(self.open_until_ns - now_ns)
            self.enter("half_open")
        return self.take_place(now_ns)

    def take_place(self, now_ns: int) -> Permit:
        """A probe's place: a free one, or the one whose deadline passed first."""
        self.last_probe += 1
        deadlines = [place[1] if place else 0 for place in self.places]
        index = min(range(self.probes), key=deadlines.__getitem__)
        if deadlines[index] > now_ns:
            raise self.refusal(deadlines[index] - now_ns)
        self.lost_probes += self.places[index] is not None
        self.places[index] = (self.last_probe, now_ns + to_nanoseconds(self.probe_timeout))
        return Permit(self.epoch, now_ns, self.last_probe)

    def refusal(self, retry_after_ns: int) -> BreakerOpenError:
        """Counts it."""
        self.refused += 1
        return BreakerOpenError(to_seconds(retry_after_ns))

    def record(self, permit: Permit, ok: bool, latency: float, now: float) -> None:
        """Tells how the call ended; what was permitted in an earlier phase is late news."""
        if permit.epoch != self.epoch:
            return
        now_ns = to_nanoseconds(now)
        slow = self.slow_ratio is not None and latency >= self.slow_call
        if self.phase == "closed":
            self.record_closed(now_ns, ok, slow)
        elif self.give_back(permit):
            self.record_probe(now_ns, ok and not slow)

    def record_closed(self, now_ns: int, ok: bool, slow: bool) -> None:
        """Counts, and opens if a rule is met."""
        self.sums.add(now_ns, 1, not ok, slow)
        self.in_a_row = 0 if ok else self.in_a_row + 1
        if (not ok or slow) and self.rule_is_met(now_ns):
            self.open(now_ns)

    def rule_is_met(self, now_ns: int) -> bool:
        """Any of the three."""
        calls, failures, slow = self.sums.sums(now_ns)
        if self.consecutive_failures is not None and self.in_a_row >= self.consecutive_failures:
            return True
        ratios = ((self.failure_ratio, failures), (self.slow_ratio, slow))
        reached = any(ratio is not None and count >= ratio * calls for ratio, count in ratios)
        return calls >= self.minimum_calls and reached

    def record_probe(self, now_ns: int, ok: bool) -> None:
        """One bad probe opens it, as many good ones as there are places close it."""
        if not ok:
            self.open(now_ns)
            return
        self.probe_successes += 1
        if self.probe_successes >= self.probes:
            self.reset()

    def cancel(self, permit: Permit) -> None:
        """Gives a permit back without a verdict."""
        if permit.epoch == self.epoch:
            self.give_back(permit)

    def give_back(self, permit: Permit) -> bool:
        """Frees the probe's place, if it still has it."""
        for index, place in enumerate(self.places):
            if place and place[0] == permit.probe:
                self.places[index] = None
                return True
        return False

    def open(self, now_ns: int) -> None:
        """For `open_time`, or longer than the last time."""
        grown_ns = int(self.open_for_ns * self.open_growth)
        longest_ns = to_nanoseconds(self.open_max)
        self.open_for_ns = min(max(grown_ns, to_nanoseconds(self.open_time)), longest_ns)
        self.open_until_ns = now_ns + self.open_for_ns
        self.opened += 1
        self.enter("open")

    def reset(self) -> None:
        """Closes it."""
        self.open_for_ns = 0
        self.enter("closed")

    def enter(self, phase: Phase) -> None:
        """Every phase begins with nothing counted."""
        self.phase = phase
        self.epoch += 1
        self.sums.clear()
        self.in_a_row = 0
        self.places = [None] * self.probes
        self.probe_successes = 0

    def state(self, now: float) -> Phase:
        """Where it stands; an open breaker whose time is up is half-open for everyone who asks."""
        if self.phase == "open" and to_nanoseconds(now) >= self.open_until_ns:
            return "half_open"
        return self.phase

    def counts(self, now: float) -> BreakerCounts:
        """What it has counted."""
        calls, failures, slow = self.sums.sums(to_nanoseconds(now))
        totals = (self.opened, self.refused, self.lost_probes)
        return BreakerCounts(calls, failures, slow, self.in_a_row, *totals)


@dataclass(frozen=True)
class Ejection:
    """Until when a server is out, and by which rule."""

    until: float
    reason: str


@dataclass
class Server:
    """What is known about one server."""

    window: Window
    in_a_row: int = 0
    repeats: int = 0
    until_ns: int = 0
    compare_after_ns: int = 0


@dataclass
class OutlierDetector:
    """Leaves servers out that fail; table of rules in `native/crates/breaker/src/outliers.rs`."""

    size: int
    consecutive_failures: int | None = 5
    failure_ratio: float | None = None
    deviations: float | None = None
    minimum_calls: int = 100
    minimum_servers: int = 5
    window: float = 10.0
    base_ejection: float = 30.0
    max_ejection: float = 300.0
    max_ejected_share: float = 0.5
    panic_threshold: float = 0.5
    withheld: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.servers = [Server(Window(self.window, counters=2)) for _ in range(self.size)]

    def record(self, index: int, ok: bool, now: float) -> Ejection | None:
        """Tells how a call ended; the ejection, if this ended in one."""
        server, now_ns = self.servers[index], to_nanoseconds(now)
        if server.until_ns > now_ns:
            return None
        server.window.add(now_ns, 1, not ok)
        server.in_a_row = 0 if ok else server.in_a_row + 1
        reason = None if ok else self.judge(server, now_ns)
        return self.eject(server, reason, now_ns) if reason else None

    def judge(self, server: Server, now_ns: int) -> str | None:
        """The rule a server that just failed has met."""
        if self.consecutive_failures is not None and server.in_a_row >= self.consecutive_failures:
            return "consecutive_failures"
        calls, failures = server.window.sums(now_ns)
        if calls < self.minimum_calls:
            return None
        if self.failure_ratio is not None and failures >= self.failure_ratio * calls:
            return "failure_ratio"
        if self.deviations is None or now_ns < server.compare_after_ns:
            return None
        server.compare_after_ns = now_ns + to_nanoseconds(self.window) // BUCKETS
        return "success_rate" if self.stands_out(calls, failures, now_ns) else None

    def stands_out(self, calls: int, failures: int, now_ns: int) -> bool:
        """Whether a rate lies too many standard deviations below the pool's mean.

        These count as at least what chance alone would make of that many calls.
        """
        rates = self.success_rates(now_ns)
        if self.deviations is None or len(rates) < max(self.minimum_servers, 1):
            return False
        mean = sum(rates) / len(rates)
        deviation = sqrt(sum((rate - mean) * (rate - mean) for rate in rates) / len(rates))
        chance = sqrt(mean * (1.0 - mean) / calls)
        return (calls - failures) / calls < mean - self.deviations * max(deviation, chance)

    def success_rates(self, now_ns: int) -> list[float]:
        """Of the servers that are in and have enough calls."""
        sums = [server.window.sums(now_ns) for server in self.servers if server.until_ns <= now_ns]
        return [(calls - failed) / calls for calls, failed in sums if calls >= self.minimum_calls]

    def eject(self, server: Server, reason: str, now_ns: int) -> Ejection | None:
        """Puts a server out, for longer each time, unless too many are."""
        now = to_seconds(now_ns)
        if self.ejected_count(now) >= self.most_ejected():
            self.withheld += 1
            return None
        base_ns = to_nanoseconds(self.base_ejection)
        made_up_for = (now_ns - server.until_ns) // base_ns
        server.repeats = max(server.repeats - made_up_for, 0) + 1
        longest_ns = to_nanoseconds(self.max_ejection)
        server.until_ns = now_ns + min(base_ns * server.repeats, longest_ns)
        server.in_a_row = 0
        server.window.clear()
        return Ejection(to_seconds(server.until_ns), reason)

    def most_ejected(self) -> int:
        """The share, but one of several in any case."""
        one_of_several = int(self.size > 1 and self.max_ejected_share > 0)
        return max(int(self.max_ejected_share * self.size), one_of_several)

    def ejected(self, index: int, now: float) -> bool:
        """Whether a server is out."""
        return self.servers[index].until_ns > to_nanoseconds(now)

    def ejected_count(self, now: float) -> int:
        """How many are out."""
        return sum(self.ejected(index, now) for index in range(self.size))

    def panicking(self, otherwise_down: int, now: float) -> bool:
        """Whether too few are left."""
        left = max(self.size - self.ejected_count(now) - otherwise_down, 0)
        return left < self.panic_threshold * self.size

    def usable(self, index: int, otherwise_down: int, now: float) -> bool:
        """In, or there is panic."""
        return not self.ejected(index, now) or self.panicking(otherwise_down, now)


class RetryBudget:
    """In any window, retries are at most `ratio` x requests + `minimum_per_second` x window."""

    def __init__(
        self, ratio: float = 0.2, minimum_per_second: float = 10.0, window: float = 10.0
    ) -> None:
        self.ratio = ratio
        self.reserve = minimum_per_second * (to_nanoseconds(window) / 1e9)
        self.window = Window(window, counters=2)

    def deposit(self, now: float) -> None:
        """Counts a request."""
        self.window.add(to_nanoseconds(now), 1, 0)

    def withdraw(self, now: float) -> bool:
        """Takes one retry, if there is one."""
        enough = self.balance(now) >= 1
        if enough:
            self.window.add(to_nanoseconds(now), 0, 1)
        return enough

    def balance(self, now: float) -> float:
        """Retries left."""
        requests, retries = self.window.sums(to_nanoseconds(now))
        return self.ratio * requests + self.reserve - retries
