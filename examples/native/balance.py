"""A client-side load balancer with trunkline_native: `python examples/native/balance.py`."""

from collections import Counter

import trunkline_native as native

SERVERS = [
    native.Server("10.0.0.1:80", weight=3),
    native.Server("10.0.0.2:80"),
    native.Server("10.0.1.1:80", priority=1),  # a backup
]


def by_weight() -> None:
    """Three to one, evenly mixed; the backup waits."""
    balancer = native.Balancer("weighted_round_robin", SERVERS)
    print("weights 3 and 1:", [balancer.pick().name for _ in range(8)])
    print(balancer.explain())


def when_servers_fail() -> None:
    """Unhealthy servers are left out; backups step in when nobody else can."""
    balancer = native.Balancer("weighted_round_robin", SERVERS, slow_start=30.0)
    for server in SERVERS[:2]:
        server.set_healthy(False)
    print("both down:", balancer.pick().name, balancer.explain())
    for server in SERVERS[:2]:
        server.set_healthy(True)
    print("both back:", balancer.explain())


def by_latency() -> None:
    """`with` counts the request in and out and measures it, which is what peak EWMA goes by."""
    near, far = native.Server("near:80"), native.Server("far:80")
    for server, latency in ((near, 0.010), (far, 0.250)):
        server.begin()
        server.finish(latency)
    balancer = native.Balancer("peak_ewma", [near, far])
    picked: Counter[str] = Counter()
    for _ in range(100):
        with balancer.request() as server:
            picked[server.name] += 1
    print("by latency:", dict(picked))


if __name__ == "__main__":
    by_weight()
    when_servers_fail()
    by_latency()
