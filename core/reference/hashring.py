"""Hash rings in plain Python: the readable specification of `native/crates/hashring`.

The same nodes for the same keys, tested side by side; ketama is also tested against recorded
choices of nginx. Not for production: no locks, and some hundred times slower than the native rings.
"""

import bisect
import math
import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

Nodes = Mapping[str, int] | Iterable[str]
Accept = Callable[[int], bool]

MASK_64 = 2**64 - 1


class RingError(ValueError):
    """A ring cannot be built or changed as asked."""


class RingEmptyError(LookupError):
    """The ring has no node to answer with."""


# --- hashes ---------------------------------------------------------------------------------------

PRIME_1 = 0x9E3779B185EBCA87
PRIME_2 = 0xC2B2AE3D27D4EB4F
PRIME_3 = 0x165667B19E3779F9
PRIME_4 = 0x85EBCA77C2B2AE63
PRIME_5 = 0x27D4EB2F165667C5


def rotate_left(value: int, turn: int) -> int:
    """`value` as 64 bits, rotated."""
    value &= MASK_64
    return (value << turn | value >> (64 - turn)) & MASK_64


def xxh64_round(lane: int, word: int) -> int:
    """Takes one word into one lane."""
    return rotate_left(lane + word * PRIME_2, 31) * PRIME_1 & MASK_64


def xxh64(data: bytes, seed: int = 0) -> int:
    """XXH64, as its specification says it (doc/xxhash_spec.md of the xxHash repository)."""
    tail = len(data) - len(data) % 32
    value = xxh64_stripes(data[:tail], seed) if tail else seed + PRIME_5
    value = xxh64_tail(value + len(data), data[tail:])
    value = (value ^ value >> 33) * PRIME_2 & MASK_64
    value = (value ^ value >> 29) * PRIME_3 & MASK_64
    return value ^ value >> 32


def xxh64_stripes(data: bytes, seed: int) -> int:
    """The blocks of 32 bytes, each into four lanes."""
    lanes = [seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed, seed - PRIME_1]
    for words in struct.iter_unpack("<4Q", data):
        lanes = [xxh64_round(lane, word) for lane, word in zip(lanes, words, strict=True)]
    value = sum(rotate_left(lane, turn) for lane, turn in zip(lanes, (1, 7, 12, 18), strict=True))
    for lane in lanes:
        value = ((value ^ xxh64_round(0, lane)) * PRIME_1 + PRIME_4) & MASK_64
    return value


def xxh64_tail(value: int, tail: bytes) -> int:
    """The last 0 to 31 bytes: words of 8, then of 4, then single bytes."""
    value &= MASK_64
    while len(tail) >= 8:
        value ^= xxh64_round(0, int.from_bytes(tail[:8], "little"))
        value, tail = (rotate_left(value, 27) * PRIME_1 + PRIME_4) & MASK_64, tail[8:]
    if len(tail) >= 4:
        value ^= int.from_bytes(tail[:4], "little") * PRIME_1 & MASK_64
        value, tail = (rotate_left(value, 23) * PRIME_2 + PRIME_3) & MASK_64, tail[4:]
    for byte in tail:
        value = rotate_left(value ^ byte * PRIME_5 & MASK_64, 11) * PRIME_1 & MASK_64
    return value


def mix64(value: int) -> int:
    """The finaliser of SplitMix64: every input bit reaches every output bit."""
    value &= MASK_64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK_64
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK_64
    return value ^ value >> 31


# --- what all rings share -------------------------------------------------------------------------


def key_bytes(key: bytes | str) -> bytes:
    """Text stands for its UTF-8 bytes."""
    return key.encode() if isinstance(key, str) else key


class HashRing(ABC):
    """Named, weighted nodes.

    A ring says how to place a key (`find`), the rest is the same for all.
    """

    def __init__(self, nodes: Nodes = ()) -> None:
        pairs = list(nodes.items()) if isinstance(nodes, Mapping) else [(name, 1) for name in nodes]
        self._replace(pairs)

    def _replace(self, pairs: list[tuple[str, int]]) -> None:
        names = [name for name, _ in pairs]
        if "" in names or len(set(names)) < len(names):
            raise RingError("a name is empty or repeated")
        if not all(0 <= weight < 2**32 for _, weight in pairs):
            raise RingError("a weight must be between 0 and 2^32 - 1")
        self.build(pairs)
        self.pairs = pairs

    @abstractmethod
    def build(self, nodes: list[tuple[str, int]]) -> None:
        """Makes the table of `(name, weight)` pairs, or raises `RingError` and changes nothing."""

    @abstractmethod
    def find(self, key: bytes, accept: Accept) -> int | None:
        """The first node, by position, in the key's order of preference that `accept` takes."""

    @property
    def nodes(self) -> dict[str, int]:
        """Weights by name."""
        return dict(self.pairs)

    def lookup(self, key: bytes | str) -> str:
        """The node of `key`."""
        node = self.find(key_bytes(key), lambda _: True)
        if node is None:
            raise RingEmptyError("the ring has no node with weight")
        return self.pairs[node][0]

    def lookup_many(self, keys: Iterable[bytes | str]) -> list[str]:
        """The node of each key."""
        return [self.lookup(key) for key in keys]

    def lookup_n(self, key: bytes | str, n: int) -> list[str]:
        """The first `n` distinct nodes in the key's order of preference."""
        chosen: list[int] = []
        for _ in range(min(n, len(self.pairs))):
            node = self.find(key_bytes(key), lambda node: node not in chosen)
            if node is None:
                break
            chosen.append(node)
        return [self.pairs[node][0] for node in chosen]

    def position(self, name: str) -> int:
        """The index of a node."""
        for index, (own, _) in enumerate(self.pairs):
            if own == name:
                return index
        raise RingError(f"node {name!r} is not in the ring")

    def add(self, name: str, weight: int = 1) -> None:
        """Appends a node."""
        self._replace([*self.pairs, (name, weight)])

    def remove(self, name: str) -> None:
        """Removes a node; the last one takes its place."""
        index = self.position(name)
        last = self.pairs[-1:] if index < len(self.pairs) - 1 else []
        self._replace([*self.pairs[:index], *last, *self.pairs[index + 1 : -1]])

    def set_weight(self, name: str, weight: int) -> None:
        """Gives a node another weight."""
        index = self.position(name)
        self._replace([*self.pairs[:index], (name, weight), *self.pairs[index + 1 :]])

    def __len__(self) -> int:
        """The number of nodes."""
        return len(self.pairs)

    def __contains__(self, name: str) -> bool:
        """Whether there is a node of this name."""
        return name in self.nodes


# --- ketama ---------------------------------------------------------------------------------------


class KetamaRing(HashRing):
    """160 points per unit of weight on a circle of 2^32: nginx's `hash KEY consistent`."""

    def build(self, nodes: list[tuple[str, int]]) -> None:
        """Sorts the points of all nodes; of equal points the first node's stays."""
        if sum(weight for _, weight in nodes) > 100_000:
            raise RingError(
                "the weights add up to more than 100000: divide them by a common factor"
            )
        circle: dict[int, int] = {}
        for owner, (name, weight) in enumerate(nodes):
            for point in ketama_points(name, weight):
                circle.setdefault(point, owner)
        self.points = sorted(circle)
        self.owners = [circle[point] for point in self.points]

    def find(self, key: bytes, accept: Accept) -> int | None:
        """Clockwise from the key's own point."""
        start = bisect.bisect_left(self.points, zlib.crc32(key))
        return next(filter(accept, self.owners[start:] + self.owners[:start]), None)


def ketama_points(name: str, weight: int) -> Iterator[int]:
    """Each point is `crc32(host, 0, port, previous point)`."""
    host, port = host_and_port(name)
    base, point = zlib.crc32(host.encode() + b"\0" + port.encode()), 0
    for _ in range(weight * 160):
        point = zlib.crc32(struct.pack("<I", point), base)
        yield point


def host_and_port(name: str) -> tuple[str, str]:
    """Splits like nginx: digits after the last colon are the port, `unix:` is cut off."""
    if name[:5].lower() == "unix:":
        return name[5:], ""
    host, colon, port = name.rpartition(":")
    return (host, port) if colon and set(port) <= set("0123456789") else (name, "")


# --- Maglev ---------------------------------------------------------------------------------------


class MaglevRing(HashRing):
    """A table of `table_size` slots (a prime) that the nodes fill in turns.

    NSDI 2016, §3.4, with weights.
    """

    def __init__(self, nodes: Nodes = (), *, table_size: int = 65537) -> None:
        self.table_size = table_size
        super().__init__(nodes)

    def build(self, nodes: list[tuple[str, int]]) -> None:
        """Fills the table, the nodes in the order of their names."""
        order = sorted((name, node) for node, (name, weight) in enumerate(nodes) if weight)
        size = self.table_size
        if not (is_prime(size) and len(order) <= size <= 2**24):
            raise RingError(f"table size {size} is not a prime between {len(order)} and 2^24")
        permutations = [
            (xxh64(name.encode()) % size, xxh64(name.encode(), 1) % (size - 1) + 1)
            for name, _ in order
        ]
        turns = populate(permutations, quotas([nodes[node][1] for _, node in order], size), size)
        self.table = [order[turn][1] for turn in turns]

    def find(self, key: bytes, accept: Accept) -> int | None:
        """From the key's slot onwards."""
        if not self.table:
            return None
        start = xxh64(key) % len(self.table)
        slots = (self.table[(start + step) % len(self.table)] for step in range(len(self.table)))
        return next(filter(accept, slots), None)


def populate(permutations: list[tuple[int, int]], quotas: list[int], size: int) -> list[int]:
    """The owner of each slot, from each node's `(offset, skip)` and number of slots.

    In a round each node takes the next free slot of its permutation; one with fewer slots than the
    largest sits out rounds at even distances. With equal quotas this is the algorithm of the paper.
    """
    rounds = max(quotas, default=0)
    table: dict[int, int] = {}
    cursors = [offset for offset, _ in permutations]
    for turn in range(rounds):
        for node, (_, skip) in enumerate(permutations):
            due = -(-turn * quotas[node] // rounds) < -(-(turn + 1) * quotas[node] // rounds)
            if due:
                while cursors[node] in table:
                    cursors[node] = (cursors[node] + skip) % size
                table[cursors[node]] = node
    return [table[slot] for slot in range(len(table))]


def quotas(weights: list[int], size: int) -> list[int]:
    """Slots per node: the whole part of the share, one more for the largest remainders."""
    total = sum(weights) or 1
    slots = [weight * size // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda node: -(weights[node] * size % total))
    for node in by_remainder[: size - sum(slots)]:
        slots[node] += 1
    return slots


def is_prime(number: int) -> bool:
    """By trial division."""
    return number >= 2 and all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


# --- jump and modulo: nodes laid end to end, each as wide as its weight ---------------------------


class SlotRing(HashRing):
    """A hash chooses among the units of weight.

    One that is not accepted is mixed anew, up to 32 times.
    """

    @staticmethod
    @abstractmethod
    def choose(value: int, count: int) -> int:
        """A slot below `count`."""

    def build(self, nodes: list[tuple[str, int]]) -> None:
        """Notes where each node ends."""
        self.ends = list(accumulate(weight for _, weight in nodes))

    def find(self, key: bytes, accept: Accept) -> int | None:
        """The hash's choice, then repeated choices, then every node in turn."""
        if not self.ends or not self.ends[-1]:
            return None
        value, count = xxh64(key), len(self.ends)
        first = self.node_at(value)
        if accept(first):
            return first
        again = (
            self.node_at(mix64(value + attempt * 0x9E3779B97F4A7C15)) for attempt in range(1, 32)
        )
        following = ((first + step) % count for step in range(1, count))
        weighted = (
            node for node in following if self.ends[node] > (self.ends[node - 1] if node else 0)
        )
        return next(filter(accept, (*again, *weighted)), None)

    def node_at(self, value: int) -> int:
        """The node that covers the slot chosen by a hash."""
        return bisect.bisect_right(self.ends, self.choose(value, self.ends[-1]))


class JumpRing(SlotRing):
    """Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm" (2014)."""

    @staticmethod
    def choose(value: int, count: int) -> int:
        """The bucket the hash jumps to last."""
        return jump(value, count)


class ModuloRing(SlotRing):
    """The hash modulo the sum of weights; a change of nodes moves nearly every key."""

    @staticmethod
    def choose(value: int, count: int) -> int:
        """The remainder."""
        return value % count


def jump(value: int, buckets: int) -> int:
    """The bucket, below `buckets`, of a hashed key."""
    bucket, following = 0, 0
    while following < buckets:
        bucket = following
        value = (value * 2862933555777941757 + 1) & MASK_64
        following = int((bucket + 1) * (2.0**31 / ((value >> 33) + 1)))
    return bucket


# --- rendezvous -----------------------------------------------------------------------------------


class RendezvousRing(HashRing):
    """Every node bids `-ln(u) / weight` for the key, with u from the hash of both.

    The least wins.
    """

    def build(self, nodes: list[tuple[str, int]]) -> None:
        """Hashes the names."""
        self.bidders = [
            (node, xxh64(name.encode()), weight)
            for node, (name, weight) in enumerate(nodes)
            if weight
        ]

    def find(self, key: bytes, accept: Accept) -> int | None:
        """The best of the accepted bidders, the first on ties."""
        value = xxh64(key)
        bids = (
            (bid(value ^ own, weight), node) for node, own, weight in self.bidders if accept(node)
        )
        return min(bids, default=(0.0, None))[1]


def bid(value: int, weight: int) -> float:
    """From 52 random bits, taken in the middle of their step so that u is never 0 or 1."""
    return -math.log(((mix64(value) >> 12) + 0.5) / 2**52) / weight


# --- bounded load ---------------------------------------------------------------------------------

RINGS: dict[str, type[HashRing]] = {
    "ketama": KetamaRing,
    "maglev": MaglevRing,
    "jump": JumpRing,
    "rendezvous": RendezvousRing,
    "modulo": ModuloRing,
}


def capacity(factor: float, weight: int, total_weight: int, total_load: int) -> int:
    """The most a node may hold once `total_load` items are placed."""
    return math.ceil(factor * total_load * weight / max(total_weight, 1))


class BoundedLoadRing:
    """A ring in which no node holds more than `factor` times its share (Mirrokni et al. 2016)."""

    def __init__(self, nodes: Nodes = (), *, factor: float = 1.25, ring: str = "ketama") -> None:
        if not (math.isfinite(factor) and factor > 1):
            raise RingError(f"load factor {factor} is not a finite number above 1")
        if ring not in RINGS:
            raise RingError(f"unknown ring {ring!r}")
        self.factor = factor
        self.ring = RINGS[ring](nodes)
        self.loads = dict.fromkeys(self.nodes, 0)

    @property
    def nodes(self) -> dict[str, int]:
        """Weights by name."""
        return self.ring.nodes

    def lookup(self, key: bytes | str) -> str:
        """Where `key` would be placed now."""
        total_load, total_weight = sum(self.loads.values()) + 1, sum(self.nodes.values())

        def has_room(node: int) -> bool:
            name, weight = self.ring.pairs[node]
            return self.loads[name] < capacity(self.factor, weight, total_weight, total_load)

        node = self.ring.find(key_bytes(key), has_room)
        if node is None:
            raise RingEmptyError("the ring has no node with weight")
        return self.ring.pairs[node][0]

    def acquire(self, key: bytes | str) -> str:
        """Places one item of `key` and counts it."""
        name = self.lookup(key)
        self.loads[name] += 1
        return name

    def release(self, name: str) -> None:
        """Takes one item back from a node."""
        self.ring.position(name)
        self.loads[name] = max(self.loads[name] - 1, 0)

    def add(self, name: str, weight: int = 1) -> None:
        """Adds a node that holds nothing."""
        self.ring.add(name, weight)
        self.loads[name] = 0

    def remove(self, name: str) -> None:
        """Removes a node and forgets its load."""
        self.ring.remove(name)
        del self.loads[name]

    def set_weight(self, name: str, weight: int) -> None:
        """Gives a node another weight; its load stays."""
        self.ring.set_weight(name, weight)

    def __len__(self) -> int:
        """The number of nodes."""
        return len(self.ring)

    def __contains__(self, name: str) -> bool:
        """Whether there is a node of this name."""
        return name in self.ring
