"""Hash rings: the native ones and their Python twins answer alike and keep their promises."""

import csv
import json
import math
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trunkline_native as native
from trunkline.core.reference import hashring as twin

VECTORS = Path(__file__).parents[1] / "vectors/nginx_ketama"
POOLS: dict[str, Any] = json.loads((VECTORS / "pools.json").read_text())
KEYS = [f"user-{number}".encode() for number in range(4000)]

# Small Maglev tables, so that Python can build one for each example.
MAKERS: dict[str, tuple[Any, Any]] = {
    "ketama": (native.KetamaRing, twin.KetamaRing),
    "maglev": (
        lambda nodes: native.MaglevRing(nodes, table_size=251),
        lambda nodes: twin.MaglevRing(nodes, table_size=251),
    ),
    "jump": (native.JumpRing, twin.JumpRing),
    "rendezvous": (native.RendezvousRing, twin.RendezvousRing),
    "modulo": (lambda nodes: native.HashRing("modulo", nodes), twin.ModuloRing),
}

every_ring = pytest.mark.parametrize("kind", MAKERS)
every_maker = pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=f"{kind}-{side}")
        for kind, pair in MAKERS.items()
        for side, make in zip(("native", "twin"), pair, strict=True)
    ],
)
names = st.text(min_size=1, max_size=20).filter(lambda name: name.isprintable())
weighted_nodes = st.dictionaries(names, st.integers(0, 4), max_size=8)
keys = st.binary(max_size=80)


def node_names(count: int) -> list[str]:
    return [f"10.0.0.{number}:80" for number in range(count)]


def moved(before: list[str], after: list[str]) -> float:
    changes = sum(left != right for left, right in zip(before, after, strict=True))
    return changes / len(before)


# --- the same answers -----------------------------------------------------------------------------


@every_ring
@given(nodes=weighted_nodes, key=keys)
def test_native_and_twin_agree(kind: str, nodes: dict[str, int], key: bytes) -> None:
    rings = [make(nodes) for make in MAKERS[kind]]
    answers = [ring.lookup_n(key, len(nodes)) for ring in rings]
    assert answers[0] == answers[1]
    assert set(answers[0]) == {name for name, weight in nodes.items() if weight}
    if answers[0]:
        assert [ring.lookup(key) for ring in rings] == [answers[0][0]] * 2


@every_ring
@given(
    nodes=weighted_nodes,
    changes=st.lists(st.tuples(st.sampled_from(["add", "remove", "weigh"]), names), max_size=6),
)
def test_native_and_twin_agree_after_changes(
    kind: str, nodes: dict[str, int], changes: list[tuple[str, str]]
) -> None:
    rings = [make(nodes) for make in MAKERS[kind]]
    for change, name in changes:
        assert apply(rings[0], change, name) == apply(rings[1], change, name)
        assert list(rings[0].nodes.items()) == list(rings[1].nodes.items())
        assert rings[0].lookup_n(b"key", 3) == rings[1].lookup_n(b"key", 3)


def apply(ring: Any, change: str, name: str) -> bool:
    """Whether the ring took the change."""
    nodes = list(ring.nodes)
    chosen = nodes[len(name) % len(nodes)] if nodes and change != "add" else name
    try:
        if change == "add":
            ring.add(chosen, 2)
        elif change == "remove":
            ring.remove(chosen)
        else:
            ring.set_weight(chosen, 3)
    except (native.RingError, twin.RingError):
        return False
    return True


@given(data=st.binary(max_size=100), seed=st.integers(0, 2**64 - 1))
def test_the_twins_hash_has_the_properties_of_its_specification(data: bytes, seed: int) -> None:
    value = twin.xxh64(data, seed)
    assert 0 <= value < 2**64
    assert value != twin.xxh64(data + b"\0", seed)


@pytest.mark.parametrize(
    ("data", "seed", "expected"),
    [
        (b"", 0, 0xEF46DB3751D8E999),
        (b"abc", 0, 0x44BC2CF5AD770999),
        (b"abcdefghijklmnopqrstuvwxyz01234", 1, 0x5F792A02FE4065F5),
        (b"abcdefghijklmnopqrstuvwxyz0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZ", 7, 0x7E12B34451B87A02),
    ],
)
def test_the_twins_hash_is_xxh64(data: bytes, seed: int, expected: int) -> None:
    assert twin.xxh64(data, seed) == expected


# --- against others -------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("make", MAKERS["ketama"], ids=["native", "twin"])
def test_ketama_chooses_like_nginx(make: Any, pool: str) -> None:
    ring = make(POOLS[pool]["servers"])
    with (VECTORS / f"{pool}.csv").open(newline="") as file:
        recorded = list(csv.reader(file))
    assert len(recorded) == 1000
    for key, *servers in recorded:
        assert ring.lookup_n(key, len(servers)) == servers


def test_maglev_fills_the_table_of_the_paper() -> None:
    assert twin.populate([(3, 4), (0, 2), (3, 1)], [3, 2, 2], 7) == [1, 0, 1, 0, 2, 2, 0]


@pytest.mark.parametrize(
    ("value", "buckets", "expected"),
    [(1, 1, 0), (42, 57, 43), (0xDEAD10CC, 666, 361), (256, 1024, 520)],
)
def test_jump_agrees_with_published_vectors(value: int, buckets: int, expected: int) -> None:
    assert twin.jump(value, buckets) == expected


# --- promises -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKERS)
def test_shares_follow_weights(kind: str) -> None:
    weights = {"a": 1, "b": 2, "c": 5, "d": 0}
    ring = native.HashRing(kind, weights)
    counts = Counter(ring.lookup_many(KEYS))
    assert counts["d"] == 0
    for name in "abc":
        expected = len(KEYS) * weights[name] / 8
        # 160 points per weight scatter by 8 %, 4000 keys by 4 %.
        assert counts[name] == pytest.approx(expected, rel=0.25)


@given(weights=st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_maglev_shares_are_exact_to_one_slot(weights: list[int]) -> None:
    nodes = {f"n{index}": weight for index, weight in enumerate(weights)}
    ring = twin.MaglevRing(nodes, table_size=251)
    counts = Counter(ring.table)
    for index, weight in enumerate(weights):
        assert math.fabs(counts[index] - 251 * weight / sum(weights)) < 1


@pytest.mark.parametrize(
    ("kind", "most"), [("ketama", 0.14), ("maglev", 0.16), ("jump", 0.24), ("rendezvous", 0.13)]
)
def test_a_removed_node_moves_few_keys(kind: str, most: float) -> None:
    ring = native.HashRing(kind, node_names(10))
    before = ring.lookup_many(KEYS)
    ring.remove("10.0.0.3:80")
    share = moved(before, ring.lookup_many(KEYS))
    assert before.count("10.0.0.3:80") / len(KEYS) <= share < most


@pytest.mark.parametrize("kind", ["ketama", "rendezvous"])
@given(nodes=st.sets(names, min_size=2, max_size=6), key=keys)
def test_only_the_keys_of_the_removed_node_move(kind: str, nodes: set[str], key: bytes) -> None:
    ring = native.HashRing(kind, sorted(nodes))
    home = ring.lookup(key)
    second = ring.lookup_n(key, 2)[1]
    for gone in nodes:
        smaller = native.HashRing(kind, sorted(nodes - {gone}))
        assert smaller.lookup(key) == (second if gone == home else home)


@every_maker
def test_text_stands_for_its_utf8(make: Any) -> None:
    ring = make(node_names(5))
    assert ring.lookup("größe") == ring.lookup("größe".encode())


@every_maker
def test_a_ring_is_a_sized_container_of_names(make: Any) -> None:
    ring = make({"a": 1, "b": 0})
    assert len(ring) == 2
    assert "b" in ring
    assert "c" not in ring
    assert ring.lookup_many([b"x", b"y"]) == ["a", "a"]
    assert ring.lookup_n(b"x", 0) == []


@every_maker
def test_nothing_to_answer_with(make: Any) -> None:
    empty: list[Any] = [[], {"a": 0}]
    for nodes in empty:
        with pytest.raises(LookupError):
            make(nodes).lookup(b"key")


@every_maker
@pytest.mark.parametrize(
    "nodes", [["a", "a"], [""], {"a": -1}, {"a": 2**32}], ids=["twice", "empty", "below", "above"]
)
def test_bad_nodes_are_refused(make: Any, nodes: Any) -> None:
    with pytest.raises((native.RingError, twin.RingError)):
        make(nodes)


@every_maker
def test_a_refused_change_changes_nothing(make: Any) -> None:
    ring = make({"a": 1, "b": 1})
    before = ring.lookup_n(b"key", 2)
    changes: list[Callable[[], None]] = [
        lambda: ring.add("a"),
        lambda: ring.remove("c"),
        lambda: ring.set_weight("c", 1),
        lambda: ring.set_weight("a", -1),
    ]
    for change in changes:
        with pytest.raises((native.RingError, twin.RingError)):
            change()
    assert ring.lookup_n(b"key", 2) == before


@pytest.mark.parametrize("module", [native, twin], ids=["native", "twin"])
def test_what_one_kind_only_refuses(module: Any) -> None:
    with pytest.raises(module.RingError, match="100000"):
        module.KetamaRing({"a": 100_001})
    with pytest.raises(module.RingError, match="prime"):
        module.MaglevRing(["a"], table_size=8)
    for factor in (1.0, math.nan, math.inf):
        with pytest.raises(module.RingError, match="load factor"):
            module.BoundedLoadRing(["a"], factor=factor)
    with pytest.raises(module.RingError, match="unknown ring"):
        module.BoundedLoadRing(["a"], ring="chord")


def test_arguments_of_a_wrong_type_are_type_errors() -> None:
    for call in (
        lambda: native.KetamaRing("abc"),
        lambda: native.KetamaRing([1]),  # type: ignore[list-item]
        lambda: native.KetamaRing(["a"]).lookup(1),  # type: ignore[arg-type]
        lambda: native.KetamaRing(["a"]).lookup_many([None]),  # type: ignore[list-item]
    ):
        with pytest.raises(TypeError):
            call()


def test_lookups_answer_while_nodes_change() -> None:
    ring = native.KetamaRing(node_names(5))
    stop = threading.Event()
    wrong: list[str] = []

    def look_up() -> None:
        while not stop.is_set():
            wrong.extend(name for name in ring.lookup_many(KEYS[:100]) if not name.endswith(":80"))

    threads = [threading.Thread(target=look_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(100):
        ring.add(f"10.1.0.{number}:80")
        ring.remove(f"10.1.0.{number}:80")
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(ring) == 5


# --- bounded load ---------------------------------------------------------------------------------


@given(
    weights=st.dictionaries(names, st.integers(0, 3), min_size=1, max_size=5),
    factor=st.floats(1.01, 3),
    ring=st.sampled_from(sorted(MAKERS)).filter(lambda kind: kind != "maglev"),
    items=st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=30),
)
def test_bounded_load_agrees_and_stays_below_its_ceiling(
    weights: dict[str, int], factor: float, ring: str, items: list[tuple[bool, int]]
) -> None:
    rings = [module.BoundedLoadRing(weights, factor=factor, ring=ring) for module in (native, twin)]
    if not any(weights.values()):
        for one in rings:
            with pytest.raises(LookupError):
                one.acquire(b"key")
        return
    held: list[str] = []
    for take, number in items:
        if take or not held:
            placed = [one.acquire(str(number)) for one in rings]
            assert placed[0] == placed[1]
            held.append(placed[0])
            share = factor * len(held) * weights[placed[0]] / sum(weights.values())
            assert held.count(placed[0]) <= math.ceil(share)
        else:
            name = held.pop(number % len(held))
            for one in rings:
                one.release(name)
    assert rings[0].loads == rings[1].loads == {name: held.count(name) for name in weights}


@pytest.mark.parametrize("module", [native, twin], ids=["native", "twin"])
def test_one_hot_key_spreads_over_a_bounded_ring(module: Any) -> None:
    ring = module.BoundedLoadRing(node_names(4))
    assert len(ring) == 4
    home = ring.lookup(b"hot")
    for _ in range(100):
        ring.acquire(b"hot")
    assert max(ring.loads.values()) == ring.loads[home] == 32
    ring.remove(home)
    assert home not in ring
    assert home not in ring.loads
    ring.add(home, 2)
    ring.set_weight(home, 3)
    assert ring.nodes[home] == 3
    assert ring.loads[home] == 0
    with pytest.raises(module.RingError):
        ring.release("other")
