"""Choosing a server, in plain Python: the readable specification of `native/crates/balance`.

The same picks for the same history, tested side by side; smooth weighted round robin is also tested
against recorded orders of nginx. `now` is seconds of the caller's clock. Not for production: no
locks, and far slower than the native one.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from trunkline.core.reference.hashring import (
    RINGS,
    HashRing,
    capacity,
    key_bytes,
    mix64,
    xxh64,
)
from trunkline.core.reference.ratelimit import to_nanoseconds

# Slow start begins with this share.
LEAST_SHARE = 0.1
# Peak EWMA: the time in which an old value fades to 1/e.
DECAY_NS = 10e9
# Peak EWMA: the cost of a request in flight on a server that has not answered yet.
UNMEASURED_NS = 1e9


class BalanceError(ValueError):
    """A balancer cannot be built as asked."""


class NoServerError(LookupError):
    """No server is eligible right now."""


class Random:
    """SplitMix64 (Steele, Lea, Flood 2014)."""

    def __init__(self, seed: int) -> None:
        self.state = seed

    def next(self) -> int:
        """64 random bits."""
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        return mix64(self.state)

    def below(self, count: int) -> int:
        """A number below `count`."""
        return self.next() * count >> 64


def keeps(share: float, bits: Callable[[], int]) -> bool:
    """Whether a server with this slow-start share keeps what 64 random bits drew for it."""
    return share >= 1 or (bits() >> 11) / 2**53 < share


# --- one server -----------------------------------------------------------------------------------


@dataclass(eq=False)
class Server:
    """One server's live state; balancers that share it share its health and its counters."""

    name: str
    weight: int = 1
    priority: int = 0
    max_active: int = field(default=0, kw_only=True)
    healthy: bool = field(default=True, init=False)
    draining: bool = field(default=False, init=False)
    active: int = field(default=0, init=False)
    healthy_since_ns: int = field(default=0, init=False)
    ejected_until_ns: int = field(default=0, init=False)
    ewma_ns: int = field(default=0, init=False)
    ewma_at_ns: int = field(default=0, init=False)

    @property
    def latency(self) -> float:
        """The moving average, in seconds."""
        return self.ewma_ns / 1e9

    def set_weight(self, weight: int) -> None:
        """Takes effect at once, but in the hashing algorithms only 0 does."""
        self.weight = weight

    def set_max_active(self, max_active: int) -> None:
        """The most requests in flight; 0 = no limit."""
        self.max_active = max_active

    def set_healthy(self, healthy: bool, *, now: float) -> bool:
        """Takes down a verdict; going up begins slow start. Whether it was news."""
        changed = healthy != self.healthy
        self.healthy = healthy
        if changed and healthy:
            self.restart_slow_start(now=now)
        return changed

    def restart_slow_start(self, *, now: float) -> None:
        """Begins slow start."""
        self.healthy_since_ns = max(to_nanoseconds(now), 1)

    def set_draining(self, draining: bool) -> None:
        """Stops or resumes new requests."""
        self.draining = draining

    def eject(self, duration: float, *, now: float) -> None:
        """Leaves it out for a while; its return begins slow start."""
        self.ejected_until_ns = to_nanoseconds(now) + to_nanoseconds(duration)

    def ejected(self, *, now: float) -> bool:
        """Whether an ejection is running."""
        return to_nanoseconds(now) < self.ejected_until_ns

    def begin(self) -> None:
        """Counts a request in."""
        self.active += 1

    def finish(self, latency: float | None = None, *, now: float) -> None:
        """Counts a request out; takes its latency into the average.

        Peaks at once, the rest by and by.
        """
        self.active = max(self.active - 1, 0)
        if latency is None:
            return
        now_ns, sample = to_nanoseconds(now), to_nanoseconds(latency)
        since_last, self.ewma_at_ns = max(now_ns - self.ewma_at_ns, 0), now_ns
        if sample >= self.ewma_ns:
            self.ewma_ns = sample
        else:
            kept = math.exp(-since_last / DECAY_NS)
            self.ewma_ns = int(self.ewma_ns * kept + sample * (1 - kept))

    def expected_wait(self, now_ns: int) -> float:
        """Nanoseconds for one more request.

        The faded average times the requests in flight, this one included.
        """
        if not self.ewma_ns:
            return UNMEASURED_NS * self.active
        fading = math.exp(-max(now_ns - self.ewma_at_ns, 0) / DECAY_NS)
        return self.ewma_ns * fading * (self.active + 1)

    def share(self, now_ns: int, slow_start_ns: int) -> float:
        """What slow start grants: linear from 10 % since it became healthy or an ejection ended."""
        returned_ns = self.ejected_until_ns if self.ejected_until_ns <= now_ns else 0
        since_ns = max(self.healthy_since_ns, returned_ns)
        elapsed_ns = max(now_ns - since_ns, 0)
        if not since_ns or elapsed_ns >= slow_start_ns:
            return 1.0
        return max(elapsed_ns / slow_start_ns, LEAST_SHARE)

    def in_rotation(self) -> bool:
        """Meant to take requests."""
        return self.weight > 0 and not self.draining

    def sound(self, now_ns: int) -> bool:
        """Neither unhealthy nor ejected."""
        return self.healthy and now_ns >= self.ejected_until_ns

    def full(self) -> bool:
        """At its limit of requests in flight."""
        return 0 < self.max_active <= self.active

    def objection(self, now_ns: int) -> str | None:
        """Why it would not be picked, whatever its priority."""
        reasons = {
            "draining": self.draining,
            "weight_zero": not self.weight,
            "unhealthy": not self.healthy,
            "ejected": now_ns < self.ejected_until_ns,
            "full": self.full(),
        }
        return next((reason for reason, holds in reasons.items() if holds), None)


# --- one pick -------------------------------------------------------------------------------------


@dataclass
class Screen:
    """Who of the servers of one priority may be chosen at this moment."""

    servers: list[Server]
    now_ns: int
    slow_start_ns: int
    tried: list[Server]
    ignore_health: bool

    def admits(self, position: int) -> bool:
        """Whether the server at `position` is eligible."""
        server = self.servers[position]
        return (
            server.in_rotation()
            and (self.ignore_health or server.sound(self.now_ns))
            and not server.full()
            and server not in self.tried
        )

    def admits_any(self) -> bool:
        """Whether anyone is eligible."""
        return any(map(self.admits, range(len(self.servers))))

    def admitted_from(self, start: int = 0) -> Iterator[int]:
        """Eligible positions, from `start`, wrapping around."""
        count = len(self.servers)
        return filter(self.admits, ((start + step) % count for step in range(count)))

    def share(self, position: int) -> float:
        """The slow-start share."""
        return self.servers[position].share(self.now_ns, self.slow_start_ns)


Cost = Callable[[Server, int], float]


def active_cost(server: Server, _now_ns: int) -> float:
    """Requests in flight, this one included."""
    return server.active + 1


def active_per_weight(server: Server, _now_ns: int) -> float:
    """The same per unit of weight."""
    return (server.active + 1) / server.weight


def wait_per_weight(server: Server, now_ns: int) -> float:
    """The expected wait per unit of weight."""
    return server.expected_wait(now_ns) / server.weight


# --- algorithms -----------------------------------------------------------------------------------


class Algorithm(ABC):
    """Chooses among the eligible servers of one priority."""

    def __init__(self, servers: list[Server], seed: int) -> None:
        self.start = seed % max(len(servers), 1)

    @abstractmethod
    def pick(self, screen: Screen, key: bytes, random: Random) -> int | None:
        """The position of a server."""


class RoundRobin(Algorithm):
    """Each in turn; one in slow start keeps its turn with the chance of its share."""

    def pick(self, screen: Screen, key: bytes, random: Random) -> int | None:
        """The next that keeps its turn, else the next."""
        keep = (p for p in screen.admitted_from(self.start) if keeps(screen.share(p), random.next))
        found = next(keep, None)
        if found is None:
            found = next(screen.admitted_from(self.start), None)
        if found is not None:
            self.start = (found + 1) % len(screen.servers)
        return found


class SmoothWeighted(Algorithm):
    """nginx's order: all gain their weight, the largest (first on ties) wins and pays the sum."""

    def __init__(self, servers: list[Server], seed: int) -> None:
        super().__init__(servers, seed)
        self.current = [0] * len(servers)

    def pick(self, screen: Screen, key: bytes, random: Random) -> int | None:
        """The largest after the gain."""
        admitted = list(screen.admitted_from())
        gains = [int(screen.servers[p].weight * 1000 * screen.share(p)) for p in admitted]
        for position, gain in zip(admitted, gains, strict=True):
            self.current[position] += gain
        best = max(admitted, key=lambda position: self.current[position], default=None)
        if best is not None:
            self.current[best] -= sum(gains)
        return best


class LeastConnections(Algorithm):
    """The one that a request would cost least; ties go round robin."""

    cost: Cost = staticmethod(active_cost)

    def pick(self, screen: Screen, key: bytes, random: Random) -> int | None:
        """The least cost over the slow-start share."""
        found = min(
            screen.admitted_from(self.start),
            key=lambda p: self.cost(screen.servers[p], screen.now_ns) / screen.share(p),
            default=None,
        )
        if found is not None:
            self.start = (found + 1) % len(screen.servers)
        return found


class WeightedLeastConnections(LeastConnections):
    """The same per unit of weight."""

    cost = staticmethod(active_per_weight)


class PowerOfTwo(Algorithm):
    """Two at random, the one that costs less."""

    cost: Cost = staticmethod(active_per_weight)

    def pick(self, screen: Screen, key: bytes, random: Random) -> int | None:
        """The cheaper of two draws, the first on ties."""
        first = self.draw(screen, random, None)
        second = None if first is None else self.draw(screen, random, first)
        pair = [position for position in (first, second) if position is not None]
        return min(
            pair,
            key=lambda p: self.cost(screen.servers[p], screen.now_ns) / screen.share(p),
            default=None,
        )

    def draw(self, screen: Screen, random: Random, excluded: int | None) -> int | None:
        """Eight draws for an eligible position, then a walk from the last."""
        drawn = 0
        for _ in range(8 if screen.servers else 0):
            drawn = random.below(len(screen.servers))
            if drawn != excluded and screen.admits(drawn):
                return drawn
        return next((p for p in screen.admitted_from(drawn) if p != excluded), None)


class PeakEwma(PowerOfTwo):
    """Two at random, the one with the shorter expected wait."""

    cost = staticmethod(wait_per_weight)


class Hashed(Algorithm):
    """The key's server on a ring.

    Passed on if it is out, warming up (for some keys) or above the load bound.
    """

    def __init__(
        self, servers: list[Server], ring: type[HashRing], load_factor: float | None
    ) -> None:
        super().__init__(servers, 0)
        self.ring = ring({server.name: server.weight for server in servers})
        self.load_factor = load_factor

    def pick(self, screen: Screen, key: bytes, random: Random) -> int | None:
        """With slow start and load bound, else without."""
        admitted = [screen.servers[position] for position in screen.admitted_from()]
        total_active = sum(server.active for server in admitted)
        total_weight = sum(server.weight for server in admitted)

        def wants(position: int) -> bool:
            server = screen.servers[position]
            return (
                screen.admits(position)
                and keeps(screen.share(position), lambda: mix64(xxh64(key, 1) ^ position))
                and (
                    self.load_factor is None
                    or server.active
                    < capacity(self.load_factor, server.weight, total_weight, total_active + 1)
                )
            )

        found = self.ring.find(key, wants)
        return self.ring.find(key, screen.admits) if found is None else found


ALGORITHMS: dict[str, type[Algorithm]] = {
    "round_robin": RoundRobin,
    "weighted_round_robin": SmoothWeighted,
    "least_connections": LeastConnections,
    "weighted_least_connections": WeightedLeastConnections,
    "power_of_two": PowerOfTwo,
    "peak_ewma": PeakEwma,
}


# --- the balancer ---------------------------------------------------------------------------------


class Tier:
    """The servers of one priority and the algorithm over them."""

    def __init__(self, servers: list[Server], algorithm: Algorithm) -> None:
        self.servers = servers
        self.algorithm = algorithm

    def panics(self, threshold: float, now_ns: int) -> bool:
        """Whether fewer than this share of the servers in rotation are healthy."""
        in_rotation = [server for server in self.servers if server.in_rotation()]
        sound = sum(server.sound(now_ns) for server in in_rotation)
        return sound < threshold * len(in_rotation)


class Balancer:
    """Picks servers: the lowest priority number with an eligible one, by the algorithm.

    See `Server` and `Tier`.
    """

    def __init__(
        self,
        algorithm: str,
        servers: Mapping[str, int] | Iterable[str | Server],
        *,
        ring: str = "ketama",
        load_factor: float | None = None,
        slow_start: float = 0.0,
        panic_threshold: float = 0.0,
        seed: int = 0,
    ) -> None:
        if not 0 <= panic_threshold <= 1:
            raise BalanceError(f"panic threshold {panic_threshold} is not between 0 and 1")
        if load_factor is not None and not (math.isfinite(load_factor) and load_factor > 1):
            raise BalanceError(f"load factor {load_factor} is not a finite number above 1")
        self.servers = parse_servers(servers)
        self.slow_start_ns = to_nanoseconds(slow_start)
        self.panic_threshold = panic_threshold
        self.random = Random(seed)
        tiers: dict[int, list[Server]] = {}
        for server in sorted(self.servers, key=lambda server: server.priority):
            tiers.setdefault(server.priority, []).append(server)
        make = algorithm_maker(algorithm, ring, load_factor, seed)
        self.tiers = [Tier(members, make(members)) for members in tiers.values()]

    def pick(self, key: bytes | str = b"", *, tried: Iterable[Server] = (), now: float) -> Server:
        """The server for a request, not counted in."""
        now_ns, out = to_nanoseconds(now), list(tried)
        panicking = [tier for tier in self.tiers if tier.panics(self.panic_threshold, now_ns)]
        first = [(tier, tier in panicking) for tier in self.tiers if self.serves(tier, now_ns, out)]
        last_resort = [(tier, True) for tier in panicking]
        for tier, ignore_health in first + last_resort:
            screen = self.screen(tier, now_ns, out, ignore_health)
            if not screen.admits_any():
                continue
            position = tier.algorithm.pick(screen, key_bytes(key), self.random)
            if position is not None:
                return tier.servers[position]
        raise NoServerError("no server is eligible")

    def screen(self, tier: Tier, now_ns: int, tried: list[Server], ignore_health: bool) -> Screen:
        """This pick's view of one tier."""
        return Screen(tier.servers, now_ns, self.slow_start_ns, tried, ignore_health)

    def serves(self, tier: Tier, now_ns: int, tried: list[Server]) -> bool:
        """Whether a tier has an eligible server while health counts."""
        return self.screen(tier, now_ns, tried, False).admits_any()

    def explain(self, *, now: float) -> dict[str, str]:
        """Each server's standing: chosen from, or why not."""
        now_ns = to_nanoseconds(now)
        panicking = [tier for tier in self.tiers if tier.panics(self.panic_threshold, now_ns)]
        sound = [tier for tier in self.tiers if self.serves(tier, now_ns, [])]
        serving = next(iter(sound + panicking), None)
        standings = {
            server.name: self.standing(server, tier is serving, tier in panicking, now_ns)
            for tier in self.tiers
            for server in tier.servers
        }
        return {server.name: standings[server.name] for server in self.servers}

    def standing(self, server: Server, serves: bool, panics: bool, now_ns: int) -> str:
        """One server's standing."""
        objection = server.objection(now_ns)
        if objection in ("unhealthy", "ejected") and serves and panics and not server.full():
            return "panic"
        if objection:
            return objection
        if not serves:
            return "standby"
        return "warming" if server.share(now_ns, self.slow_start_ns) < 1 else "eligible"


def parse_servers(servers: Mapping[str, int] | Iterable[str | Server]) -> list[Server]:
    """Servers as they are, names as new servers, a mapping as names with weights."""
    if isinstance(servers, Mapping):
        parsed = [Server(name, weight) for name, weight in servers.items()]
    else:
        parsed = [Server(item) if isinstance(item, str) else item for item in servers]
    if len({server.name for server in parsed}) < len(parsed):
        raise BalanceError("a server is listed twice")
    return parsed


def algorithm_maker(
    name: str, ring: str, load_factor: float | None, seed: int
) -> Callable[[list[Server]], Algorithm]:
    """What makes the algorithm of one tier."""
    ring = {"hash": "modulo", "consistent_hash": ring}.get(name, "")
    if ring in RINGS:
        return lambda servers: Hashed(servers, RINGS[ring], load_factor)
    if name not in ALGORITHMS:
        raise BalanceError(f"unknown algorithm {name!r} or ring")
    return lambda servers: ALGORITHMS[name](servers, seed)
