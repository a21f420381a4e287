"""Rate limiters in plain Python: the readable specification of `native/crates/ratelimit`.

The same decisions to the nanosecond, tested side by side. Times are whole nanoseconds, rates exact
fractions; nothing is rounded but what is told to the caller (waits up, remaining units down).
Not for production: not thread-safe, and some fifty times slower than the native ones.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, inf


def to_nanoseconds(seconds: float) -> int:
    """Whole nanoseconds, the nearest."""
    return int(seconds * 1e9 + 0.5)


def to_seconds(nanoseconds: float) -> float:
    """Seconds; infinity stays infinity."""
    return nanoseconds / 1e9


@dataclass(frozen=True)
class Decision:
    """The answer to one check. Times in seconds; `retry_after` is infinite if it can never pass."""

    allowed: bool
    limit: int
    remaining: int
    retry_after: float
    reset_after: float
    delay: float = 0.0

    def __bool__(self) -> bool:
        return self.allowed


class Limiter(ABC):
    """`limit` units per `period` seconds, at most `burst` at once."""

    def __init__(self, limit: int, period: float, burst: int | None = None) -> None:
        self.limit = limit
        self.period_ns = to_nanoseconds(period)
        self.burst = limit if burst is None else burst
        self.rate = Fraction(limit, self.period_ns)
        if limit < 1 or self.period_ns < 1 or self.burst < 1:
            raise ValueError("limit, period and burst must be above 0")

    def check(self, cost: int = 1, now: float = 0.0) -> Decision:
        """Takes `cost` units if they are there, at `now` seconds of a monotonic clock."""
        now_ns = to_nanoseconds(now)
        self.advance(now_ns)
        delay_ns = self.delay_ns(now_ns)
        allowed = self.fits(cost)
        retry_ns: float = 0 if allowed else self.fits_after_ns(cost, now_ns)
        if allowed:
            self.take(cost)
        return Decision(
            allowed=allowed,
            limit=self.limit,
            remaining=self.remaining(),
            retry_after=to_seconds(inf if cost > self.burst else retry_ns),
            reset_after=to_seconds(self.whole_after_ns(now_ns)),
            delay=to_seconds(delay_ns if allowed else 0),
        )

    def delay_ns(self, now_ns: int) -> int:
        """How long an allowed call is held back; only a queue holds back."""
        return 0

    @abstractmethod
    def advance(self, now_ns: int) -> None:
        """Brings the state up to `now_ns`; never back."""

    @abstractmethod
    def fits(self, cost: int) -> bool:
        """Whether `cost` could be taken."""

    @abstractmethod
    def take(self, cost: int) -> None:
        """Takes `cost`."""

    @abstractmethod
    def remaining(self) -> int:
        """Whole units that fit."""

    @abstractmethod
    def fits_after_ns(self, cost: int, now_ns: int) -> int:
        """Nanoseconds until `cost`, which does not fit now, would."""

    @abstractmethod
    def whole_after_ns(self, now_ns: int) -> int:
        """Nanoseconds until nothing of the quota is taken."""


class TokenBucket(Limiter):
    """A bucket of `burst` tokens that regains `limit` tokens per period."""

    def __init__(self, limit: int, period: float, burst: int | None = None) -> None:
        super().__init__(limit, period, burst)
        self.tokens = Fraction(self.burst)
        self.at_ns = 0

    def advance(self, now_ns: int) -> None:
        """Refills."""
        if now_ns > self.at_ns:
            self.tokens = min(self.tokens + (now_ns - self.at_ns) * self.rate, Fraction(self.burst))
            self.at_ns = now_ns

    def fits(self, cost: int) -> bool:
        """Are there so many tokens?"""
        return cost <= self.tokens

    def take(self, cost: int) -> None:
        """Takes tokens."""
        self.tokens -= cost

    def remaining(self) -> int:
        """Whole tokens."""
        return floor(self.tokens)

    def fits_after_ns(self, cost: int, now_ns: int) -> int:
        """The refill of the missing tokens."""
        return ceil((cost - self.tokens) / self.rate)

    def whole_after_ns(self, now_ns: int) -> int:
        """The refill of all tokens."""
        return ceil((self.burst - self.tokens) / self.rate)


class LeakyBucket(Limiter):
    """A bucket that leaks `limit` units per period; what would spill over `burst` is refused."""

    def __init__(self, limit: int, period: float, burst: int | None = None) -> None:
        super().__init__(limit, period, burst)
        self.water = Fraction(0)
        self.at_ns = 0

    def advance(self, now_ns: int) -> None:
        """Leaks."""
        if now_ns > self.at_ns:
            self.water = max(self.water - (now_ns - self.at_ns) * self.rate, Fraction(0))
            self.at_ns = now_ns

    def fits(self, cost: int) -> bool:
        """Would it stay below the rim?"""
        return self.water + cost <= self.burst

    def take(self, cost: int) -> None:
        """Pours."""
        self.water += cost

    def remaining(self) -> int:
        """Whole units of room."""
        return floor(self.burst - self.water)

    def fits_after_ns(self, cost: int, now_ns: int) -> int:
        """Until what would spill has leaked."""
        return ceil((self.water + cost - self.burst) / self.rate)

    def whole_after_ns(self, now_ns: int) -> int:
        """Until it is empty."""
        return ceil(self.water / self.rate)


class LeakyQueue(LeakyBucket):
    """The water is queued work: a call leaves when all that was poured before has leaked."""

    def delay_ns(self, now_ns: int) -> int:
        """Until the queue before this call has gone."""
        return self.whole_after_ns(now_ns)


class Gcra(Limiter):
    """One timestamp: when the next call would come if all came evenly spaced."""

    def __init__(self, limit: int, period: float, burst: int | None = None) -> None:
        super().__init__(limit, period, burst)
        self.arrival_ns = Fraction(0)
        self.now_ns = 0

    def advance(self, now_ns: int) -> None:
        """Nothing to do but to know the time: the state is an instant."""
        self.now_ns = now_ns

    def ahead_ns(self, cost: int = 0) -> Fraction:
        """How far the theoretical arrival lies ahead, with `cost` more."""
        return max(self.arrival_ns - self.now_ns, Fraction(0)) + cost / self.rate

    def fits(self, cost: int) -> bool:
        """Is it early by no more than the time `burst` units take?"""
        return cost == 0 or self.ahead_ns(cost) <= self.burst / self.rate

    def take(self, cost: int) -> None:
        """Moves the arrival on."""
        if cost > 0:
            self.arrival_ns = self.now_ns + self.ahead_ns(cost)

    def remaining(self) -> int:
        """Whole units of tolerance."""
        return max(floor(self.burst - self.ahead_ns() * self.rate), 0)

    def fits_after_ns(self, cost: int, now_ns: int) -> int:
        """Until it is early enough."""
        return ceil(self.ahead_ns(cost) - self.burst / self.rate)

    def whole_after_ns(self, now_ns: int) -> int:
        """Until the arrival is past."""
        return ceil(self.ahead_ns())


class FixedWindow(Limiter):
    """At most `limit` units in each window; windows are the multiples of the period."""

    def __init__(self, limit: int, period: float) -> None:
        super().__init__(limit, period)
        self.window = 0
        self.taken = 0

    def advance(self, now_ns: int) -> None:
        """A new window starts empty."""
        if now_ns // self.period_ns > self.window:
            self.window, self.taken = now_ns // self.period_ns, 0

    def fits(self, cost: int) -> bool:
        """Is so much left of this window?"""
        return self.taken + cost <= self.limit

    def take(self, cost: int) -> None:
        """Counts."""
        self.taken += cost

    def remaining(self) -> int:
        """What is left of this window."""
        return self.limit - self.taken

    def window_left_ns(self, now_ns: int) -> int:
        """Nanoseconds to the end of the window."""
        return (self.window + 1) * self.period_ns - now_ns

    def fits_after_ns(self, cost: int, now_ns: int) -> int:
        """The next window."""
        return self.window_left_ns(now_ns)

    def whole_after_ns(self, now_ns: int) -> int:
        """The next window, if anything was taken in this one."""
        return self.window_left_ns(now_ns) if self.taken else 0


class SlidingWindow(Limiter):
    """At most `limit` units in the period that ends now; the last window taken as even."""

    def __init__(self, limit: int, period: float) -> None:
        super().__init__(limit, period)
        self.window = 0
        self.previous = 0
        self.current = 0
        self.left_ns = self.period_ns

    def advance(self, now_ns: int) -> None:
        """The current window becomes the previous one, or both are long gone."""
        passed = now_ns // self.period_ns - self.window
        if passed > 0:
            self.previous = self.current if passed == 1 else 0
            self.current = 0
            self.window += passed
        self.left_ns = min((self.window + 1) * self.period_ns - now_ns, self.period_ns)

    def estimate(self) -> Fraction:
        """Units in the period that ends now: the share of the previous window in sight counts."""
        return self.current + self.previous * Fraction(self.left_ns, self.period_ns)

    def fits(self, cost: int) -> bool:
        """Does the estimate stay within the limit?"""
        return cost == 0 or self.estimate() + cost <= self.limit

    def take(self, cost: int) -> None:
        """Counts."""
        self.current += cost

    def remaining(self) -> int:
        """Whole units below the limit."""
        return max(floor(self.limit - self.estimate()), 0)

    def sight_ns(self, room: int, taken: int) -> int:
        """How much of a window with `taken` units may be in sight so that at most `room` count."""
        return min(floor(Fraction(room * self.period_ns, taken)), self.period_ns)

    def fits_after_ns(self, cost: int, now_ns: int) -> int:
        """Until enough of the previous window is out of sight, or of this one, once it is that."""
        room = self.limit - cost - self.current
        if room >= 0:
            return self.left_ns - self.sight_ns(room, self.previous)
        if cost > self.limit:
            return 0  # never; the caller says so
        return self.left_ns + self.period_ns - self.sight_ns(self.limit - cost, self.current)

    def whole_after_ns(self, now_ns: int) -> int:
        """Until both windows are out of sight."""
        if self.current:
            return self.left_ns + self.period_ns
        return self.left_ns if self.previous else 0


class KeyedLimiter:
    """One limiter for each of many keys, at most `capacity` of them.

    A new key in a full table takes the place of one whose quota is whole again, else of the one
    that would be soonest, but never of a limited one; if all are limited, it is judged by one
    limiter shared with all others in that position. (The native table chooses among 16 of its
    places, this one among all.)
    """

    def __init__(self, kind: type[Limiter], *quota: float, capacity: int = 65536) -> None:
        self.kind = kind
        self.quota = quota
        self.capacity = capacity
        self.limiters: dict[bytes, Limiter] = {}
        self.refused: set[bytes] = set()
        self.overflow = self.fresh()
        self.evicted = 0
        self.overflowed = 0

    def fresh(self) -> Limiter:
        """A limiter for a key that was never seen."""
        return self.kind(*self.quota)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.limiters)

    def check(self, key: str | bytes, cost: int = 1, now: float = 0.0) -> Decision:
        """Takes `cost` units from the key's quota if they are there."""
        name = key.encode() if isinstance(key, str) else key
        if name not in self.limiters and not self.make_room(now):
            self.overflowed += 1
            return self.overflow.check(cost, now)
        decision = self.limiters.setdefault(name, self.fresh()).check(cost, now)
        (self.refused.discard if decision else self.refused.add)(name)
        return decision

    def make_room(self, now: float) -> bool:
        """Forgets the key with the least to lose if the table is full; false if there is none."""
        if len(self) < self.capacity:
            return True
        losses = {
            name: loss for name in self.limiters if (loss := self.loss(name, now)) is not None
        }
        if not losses:
            return False
        forgotten = min(losses, key=losses.__getitem__)
        self.evicted += losses[forgotten] > 0
        del self.limiters[forgotten]
        self.refused.discard(forgotten)
        return True

    def loss(self, name: bytes, now: float) -> float | None:
        """Seconds until a key's quota is whole again; `None` if the key is limited."""
        standing = self.limiters[name].check(0, now)
        limited = name in self.refused or standing.remaining == 0 or standing.delay > 0
        return None if limited and standing.reset_after > 0 else standing.reset_after
