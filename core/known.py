"""What a process knows of servers beyond its configuration: an operator's word, and that of checks.

A process that takes over begins with it, else an upgrade would send requests to servers that
somebody drains, or that have been found dead.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trunkline.core.native import Engine

Known = Mapping[str, Any]
"""`pool`, `server`, `planned` (the server's part of the plan) and any of `weight`, `enabled`,
`draining` and `down` (what the last check found)."""

_OPERATORS = ("weight", "enabled", "draining")
_PLANNED = {"weight": 1, "enabled": True, "draining": False}


def known_of(plan: Mapping[str, Any], status: Mapping[str, Any]) -> list[Known]:
    """What differs from the plan."""
    pools = {pool["name"]: pool for pool in status["pools"]}
    known: list[Known] = []
    for pool, planned in _servers(plan):
        servers = pools.get(pool["name"], {}).get("servers", [])
        server = next((each for each in servers if each["name"] == planned["name"]), None)
        if server is not None and (said := _said(planned, server)):
            names = {"pool": pool["name"], "server": planned["name"]}
            known.append({**names, "planned": planned, **said})
    return known


def _said(planned: Mapping[str, Any], server: Mapping[str, Any]) -> dict[str, Any]:
    expected = {name: planned.get(name, value) for name, value in _PLANNED.items()}
    said = {name: server[name] for name in _OPERATORS if server[name] != expected[name]}
    return said if server["healthy"] else {**said, "down": server["check"]}


def repeat(known: Sequence[Known], plan: Mapping[str, Any], engine: Engine) -> None:
    """Say it again to an engine, of servers whose configuration is the same as it was."""
    planned = {(pool["name"], server["name"]): server for pool, server in _servers(plan)}
    for one in known:
        pool, server = one["pool"], one["server"]
        if planned.get((pool, server)) != one["planned"]:
            continue
        said = {name: one[name] for name in _OPERATORS if name in one}
        if said:
            engine.set_server(pool, server, **said)
        if "down" in one:
            engine.set_unhealthy(pool, server, one["down"])


def _servers(plan: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for pool in plan["pools"]:
        for server in pool["servers"]:
            yield pool, server
