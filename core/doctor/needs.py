"""What a configuration asks of its host."""

import os
from dataclasses import dataclass, field

import orjson

from trunkline.core.config.load import Loaded
from trunkline.core.config.values import Address

# What `limits.connections` is without being written (native/crates/engine/src/plan.rs).
_CONNECTIONS = 100_000


@dataclass(frozen=True)
class Needs:
    """Defaults are those of a configuration that says nothing.

    Attributes:
        threads: Worker threads.
        connections: Client connections that it wants to hold.
        listen: Addresses, as written.
        reaches_out: Whether some server is beyond this host.
    """

    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    connections: int = _CONNECTIONS
    listen: list[Address] = field(default_factory=list)
    reaches_out: bool = True


def needs_of(loaded: Loaded) -> Needs:
    """Of a sound configuration. Listeners without a limit of their own share the default."""
    plan = orjson.loads(loaded.plan)
    limits = [listener.get("limits", {}).get("connections") for listener in plan["listeners"]]
    servers = [server["address"] for pool in plan["pools"] for server in pool["servers"]]
    is_local = [address.startswith(("127.", "[::1]")) for address in servers]
    return Needs(
        loaded.config.runtime.threads or Needs().threads,
        sum(limit for limit in limits if limit) or _CONNECTIONS,
        loaded.builder.listen_addresses(),
        not all(is_local) or bool(loaded.builder.discover),
    )
