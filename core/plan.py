"""The plan: what the roles ask the native engine to serve, as one JSON document.

The contract is `native/crates/engine/src/plan.rs`. Each role adds its listeners, pools and
consumers to a `PlanBuilder`; every part remembers the key of the configuration that it comes from,
so that what the engine refuses can be named by file and line. Host names are resolved here.
"""

import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import orjson
from pydantic import SecretStr

from trunkline.core.acme.wanted import WantedCertificates
from trunkline.core.config.discover import Discover
from trunkline.core.config.document import Document
from trunkline.core.config.pool import Pool, Server
from trunkline.core.config.positions import Path
from trunkline.core.config.values import LONG_LABEL, Address

_PLAN_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_UNIT = re.compile(r"_(ms|s|bytes)$")
# Nobody can name a pool like this: names begin with a letter, a digit or an underscore.
_NO_POOL = "-"
# What stands for every address of its family.
_WILDCARDS = {"0.0.0.0", "::"}


@dataclass(frozen=True)
class _Claim:
    """An address that something listens on: as it is written, and one that it resolves to."""

    written: Address
    resolved: Address
    source: Path

    def meets(self, other: Address) -> bool:
        """Whether both cannot be bound; IPv6 sockets leave IPv4 alone."""
        mine, others = self.resolved.host, other.host
        same_family = (":" in mine) == (":" in others)
        same_host = mine == others or (same_family and bool({mine, others} & _WILDCARDS))
        return self.resolved.port == other.port and same_host


class PlanBuilder:
    """Collects the parts of the plan, and the problems between them.

    Args:
        document: What was written.
        certificates: Collects what listeners ask issuers for.
    """

    def __init__(self, document: Document, certificates: WantedCertificates) -> None:
        self.document = document
        self.certificates = certificates
        self._listeners: list[dict[str, Any]] = []
        self._pools: list[dict[str, Any]] = []
        self._empty_pools: dict[str, dict[str, Any]] = {}
        self._consumers: list[dict[str, Any]] = []
        self._access_log: dict[str, Any] | None = None
        self._dns: dict[str, Any] | None = None
        self._sources: dict[Path, Path] = {}
        self._listening: list[_Claim] = []
        self.discover: dict[str, Discover] = {}
        """Where the servers of which pools are found, by the pool's name in the plan."""

    def report(self, path: Path, message: str) -> None:
        """Note a problem at a key."""
        self.document.report(path, message)

    @property
    def folder(self) -> FilePath:
        """The configuration's folder: relative paths begin there."""
        return FilePath(self.document.main_file).parent

    def add_listener(
        self,
        listener: dict[str, Any],
        listen: list[Address],
        source: Path,
        parts: Mapping[str, Path],
    ) -> int:
        """Add a listener without routes; `addresses` is filled in here. Its index is returned.

        `parts` says where fields come from that the source names differently.
        """
        addresses = [
            str(resolved)
            for number, address in enumerate(listen)
            for resolved in self.claim_address(address, (*source, "listen", number))
        ]
        self._listeners.append({**listener, "addresses": addresses, "routes": []})
        index = len(self._listeners) - 1
        self._note_sources(
            ("listeners", index), source, {"addresses": (*source, "listen"), **parts}
        )
        return index

    @property
    def has_plain_listener(self) -> bool:
        """Whether anything listens without TLS."""
        return any("tls" not in listener for listener in self._listeners)

    def claim_address(self, address: Address, source: Path) -> list[Address]:
        """Reserve an address for one listener; a second one is a problem. What it resolves to."""
        found = self.resolve(address, source)
        for resolved in found:
            first = next((claim for claim in self._listening if claim.meets(resolved)), None)
            if first is not None:
                file, line = self.document.place(first.source)
                taken = f"{first.written} is already used in {file}:{line}; give each its own"
                self.report(source, taken)
            self._listening.append(_Claim(address, resolved, source))
        return found

    def is_claimed(self, address: Address) -> bool:
        """Whether something listens on this IP address and port."""
        return any(claim.meets(address) for claim in self._listening)

    def listen_addresses(self) -> list[Address]:
        """Every address that something listens on, as written."""
        return list(dict.fromkeys(claim.written for claim in self._listening))

    def source_of_address(self, resolved: str) -> Path:
        """The configuration key of an address that something listens on."""
        claims = (claim.source for claim in self._listening if str(claim.resolved) == resolved)
        return next(claims, ())

    def add_route(
        self, listener: int, route: dict[str, Any], source: Path, parts: Mapping[str, Path]
    ) -> None:
        """Add a route; `parts` says where fields come from that the source names differently."""
        routes = self._listeners[listener]["routes"]
        self._note_sources(("listeners", listener, "routes", len(routes)), source, parts)
        routes.append(route)

    def add_pool(
        self, plan: dict[str, Any], pool: Pool, source: Path, parts: Mapping[str, Path]
    ) -> None:
        """Add a pool; `servers` is filled in here, names resolved. `parts`: as with routes."""
        index = len(self._pools)
        servers: list[dict[str, Any]] = []
        for number, server in enumerate(pool.servers or []):
            server_source = (*source, "servers", number)
            for part in self._servers(server, server_source):
                self._sources["pools", index, "servers", len(servers)] = server_source
                servers.append(part)
        self._refuse_duplicates(servers, index)
        self._pools.append({**plan, "servers": servers})
        self._note_sources(("pools", index), source, parts)
        if pool.discover is not None:
            self.discover[plan["name"]] = pool.discover

    def pool_name(self, role: str, pool: str | None) -> str:
        """A pool's name in the plan; without one, a pool without servers: each route needs one."""
        name = f"{role}.{pool or _NO_POOL}"
        if pool is None:
            self._empty_pools[name] = {"name": name, "servers": []}
        return name

    def add_consumer(self, name: str, keys: list[SecretStr], source: Path) -> None:
        """Add who may call."""
        self._sources["consumers", len(self._consumers)] = source
        self._sources["consumers", name] = source
        self._consumers.append({"name": name, "keys": keys})

    def set_access_log(self, access_log: dict[str, Any]) -> None:
        """Where and how much requests are logged."""
        self._access_log = access_log
        self._sources["access_log",] = ("access_log",)

    def set_dns(
        self, dns: dict[str, Any], listen: list[Address], source: Path, zones: Sequence[Path]
    ) -> None:
        """The nameserver; `addresses` is filled in here. `zones` says where each comes from."""
        addresses = [
            str(resolved)
            for number, address in enumerate(listen)
            for resolved in self.claim_address(address, (*source, "listen", number))
        ]
        self._dns = {**dns, "addresses": addresses}
        self._note_sources(("dns",), source, {"addresses": (*source, "listen")})
        for index, zone in enumerate(zones):
            self._sources["dns", "zones", index] = zone

    def to_json(self, found: Mapping[str, Sequence[Server]] | None = None) -> bytes:
        """The plan. It holds secrets: it goes to the engine and nowhere else.

        Args:
            found: Servers that were discovered, by pool; those that are written come first, and of
                two with one name the first.
        """
        written = [*self._pools, *self._empty_pools.values()]
        pools = [_with_found(pool, (found or {}).get(pool["name"], ())) for pool in written]
        plan: dict[str, Any] = {"listeners": self._listeners, "pools": pools}
        if self._consumers:
            plan["consumers"] = self._consumers
        if self._access_log is not None:
            plan["access_log"] = self._access_log
        if self._dns is not None:
            plan["dns"] = self._dns
        return orjson.dumps(plan, default=_reveal)

    def source_of(self, plan_path: str) -> Path:
        """The configuration key that a path of the plan (`pools[0].servers[1]`) comes from."""
        path = _plan_path(plan_path)
        for length in range(len(path), 0, -1):
            if source := self._sources.get(path[:length]):
                return self._deepest(self._written(source), path[length:])
        return ()

    def _note_sources(self, here: Path, source: Path, parts: Mapping[str, Path]) -> None:
        self._sources[here] = source
        for name, part_source in parts.items():
            self._sources[*here, *_plan_path(name)] = part_source

    def _written(self, source: Path) -> Path:
        """The key itself, or the table in which it is missing."""
        while source and self.document.get(source) is None:
            source = source[:-1]
        return source

    def _deepest(self, source: Path, rest: Path) -> Path:
        """Follow the rest of a plan path as far as keys of the configuration have the same name."""
        for part in rest:
            names = [part] if isinstance(part, int) else [_UNIT.sub("", part), f"{part}_file"]
            known = (name for name in names if self.document.get((*source, name)) is not None)
            name = next(known, None)
            if name is None:
                break
            source = (*source, name)
        return source

    def _servers(self, server: Server, source: Path) -> Iterable[dict[str, Any]]:
        """A server for each address its name stands for."""
        plan = _server_to_plan(server)
        addresses = self.resolve(server.address, source)
        for address in addresses:
            name = plan["name"] if len(addresses) == 1 else f"{plan['name']}@{address.host}"
            yield {**plan, "name": name, "address": str(address)}

    def _refuse_duplicates(self, servers: list[dict[str, Any]], pool: int) -> None:
        seen: set[str] = set()
        for index, server in enumerate(servers):
            if server["name"] in seen:
                source = self._sources["pools", pool, "servers", index]
                self.report(source, f'the pool has "{server["name"]}" already; remove one')
            seen.add(server["name"])

    def resolve(self, address: Address, source: Path) -> list[Address]:
        """All addresses of one family, IPv4 if there is one: a name is one service either way."""
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except OSError as error:
            reason = error.strerror or str(error)
            return self._unresolved(address, source, f"{reason[:1].lower()}{reason[1:]}")
        except UnicodeError:
            return self._unresolved(address, source, LONG_LABEL)
        family = socket.AF_INET if any(f == socket.AF_INET for f, *_ in found) else socket.AF_INET6
        hosts = dict.fromkeys(str(place[0]) for f, _, _, _, place in found if f == family)
        return [Address(host, address.port) for host in hosts]

    def _unresolved(self, address: Address, source: Path, reason: str) -> list[Address]:
        self.report(source, f'"{address.host}" does not resolve: {reason}')
        return []


def _server_to_plan(server: Server) -> dict[str, Any]:
    backup = {"priority": 1} if server.backup and server.priority is None else {}
    name = server.name or str(server.address)
    host = server.host or server.address.name
    known = {"host": host} if host else {}
    return {**server.to_plan(), **backup, **known, "name": name, "address": str(server.address)}


def _with_found(pool: dict[str, Any], found: Sequence[Server]) -> dict[str, Any]:
    if not found:
        return pool
    servers = {server["name"]: server for server in map(_server_to_plan, found)}
    servers |= {server["name"]: server for server in pool["servers"]}
    written = [server["name"] for server in pool["servers"]]
    names = [*written, *(name for name in servers if name not in written)]
    return {**pool, "servers": [servers[name] for name in names]}


def _plan_path(text: str) -> Path:
    return tuple(int(index) if index else name for index, name in _PLAN_STEP.findall(text))


def _reveal(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Address):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a plan")
