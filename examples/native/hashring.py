"""Hash rings of trunkline_native in your own service: `python examples/native/hashring.py`."""

import trunkline_native as native

CACHES = {"10.0.0.1:11211": 1, "10.0.0.2:11211": 1, "10.0.0.3:11211": 2}
USERS = [f"user-{number}" for number in range(10_000)]


def one_ring() -> None:
    """A key's node, and where to go when that one is out."""
    ring = native.KetamaRing(CACHES)
    print("user-42 lives on", ring.lookup("user-42"))
    print("and with a replica on", ring.lookup_n("user-42", 2))


def what_a_new_node_costs() -> None:
    """The share of users that move when a fourth node comes."""
    for kind in ("ketama", "maglev", "jump", "rendezvous", "modulo"):
        ring = native.HashRing(kind, CACHES)
        before = ring.lookup_many(USERS)
        ring.add("10.0.0.4:11211")
        moved = sum(old != new for old, new in zip(before, ring.lookup_many(USERS), strict=True))
        print(f"{kind:11} moves {moved / len(USERS):.0%} of the users (20 % must)")


def one_hot_key() -> None:
    """With a bound on the load, a key that everybody wants does not bury its node."""
    ring = native.BoundedLoadRing(["a", "b", "c", "d"], factor=1.25)
    for _ in range(100):
        ring.acquire("the one that everybody wants")
    print("100 requests for one key:", ring.loads)


if __name__ == "__main__":
    one_ring()
    what_a_new_node_costs()
    one_hot_key()
