"""Servers from DNS: A and AAAA with one port for all, or SRV with ports of their own (RFC 2782).

An answer holds for its TTL, the shortest one of all records that led to it, at least the source's
own interval and at most five minutes. SRV priorities become ours in their order, 0 being the first.
An SRV target without an address is left out, as long as another one has one.
"""

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from trunkline.core.config import patterns
from trunkline.core.config.discover import Discover, nameserver_address
from trunkline.core.config.pool import Server
from trunkline.core.config.values import Address
from trunkline.core.discovery.source import DiscoveryError, Found

log = logging.getLogger("trunkline")

# What the addresses of one host are, and how long that holds.
Hosts = tuple[list[str], float]
# DNS says for certain that a host has no address; everything else may be better in a moment.
_NO_ADDRESS = (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer)
# A record that says a day still lets a server go within five minutes.
LONGEST_S = 300.0
# The largest priority of a server; what ranks behind it shares it.
_LAST_PRIORITY = 255


class NamesSource:
    """Asks for the records of one name.

    Args:
        settings: Of kind dns.
    """

    def __init__(self, settings: Discover) -> None:
        self._settings = settings
        self._name = settings.name or ""
        self._type = settings.type or "A"
        self._port = settings.port or 0
        self._host = _identity(self._name)
        self._shortest_s = settings.interval / 1_000
        self._dead: set[str] = set()

    def __str__(self) -> str:
        return f"{self._type} {self._name}"

    async def find(self) -> Found:
        """The servers that DNS knows.

        Raises:
            DiscoveryError: No answer in time, or no such record.
        """
        ask = self._services if self._type == "SRV" else self._addresses
        try:
            # Anew each time: the system's nameservers may be others by now, or none.
            servers, ttl_s = await ask(await asyncio.to_thread(_resolver, self._settings))
        except dns.exception.DNSException as error:
            raise DiscoveryError(f"{self}: {error}") from error
        return Found(tuple(servers), min(max(ttl_s, self._shortest_s), LONGEST_S))

    async def _addresses(self, resolver: dns.asyncresolver.Resolver) -> tuple[list[Server], float]:
        hosts, ttl_s = await _hosts(resolver, self._name, self._type)
        addresses = [Address(host, self._port) for host in hosts]
        return [Server(address=address, host=self._host) for address in addresses], ttl_s

    async def _services(self, resolver: dns.asyncresolver.Resolver) -> tuple[list[Server], float]:
        answer = await resolver.resolve(self._name, "SRV", search=False)
        records = [record for record in answer if record.target != dns.name.root]
        priorities = sorted({record.priority for record in records})
        targets = await self._targets(resolver, [record.target.to_text(True) for record in records])
        servers: list[Server] = []
        ttl_s = float(answer.chaining_result.minimum_ttl)
        for record in records:
            hosts, host_ttl_s = targets.get(record.target.to_text(True), ([], ttl_s))
            ttl_s = min(ttl_s, host_ttl_s)
            rank = min(priorities.index(record.priority), _LAST_PRIORITY)
            # RFC 2782 gives weight 0 a small chance beside others; ours would give it none.
            weight = max(record.weight, 1)
            addresses = [Address(host, record.port) for host in hosts]
            servers += [
                Server(address=at, host=self._host, priority=rank, weight=weight)
                for at in addresses
            ]
        return servers, ttl_s

    async def _targets(
        self, resolver: dns.asyncresolver.Resolver, names: Sequence[str]
    ) -> dict[str, Hosts]:
        """The addresses of those that have any; each name is asked for once."""
        wanted = list(dict.fromkeys(names))
        asked = [_hosts_if_any(resolver, name) for name in wanted]
        answers = dict(zip(wanted, await asyncio.gather(*asked), strict=True))
        found = {name: answer for name, answer in answers.items() if isinstance(answer, tuple)}
        errors = {name: error for name, error in answers.items() if isinstance(error, Exception)}
        if errors and not found:
            raise next(iter(errors.values()))
        self._note_dead(errors)
        return found

    def _note_dead(self, errors: Mapping[str, Exception]) -> None:
        """Log a target when it begins to have no address."""
        for name in errors.keys() - self._dead:
            log.warning("%s: the target %s is left out: %s", self, name, errors[name])
        self._dead = set(errors)


async def _hosts_if_any(
    resolver: dns.asyncresolver.Resolver, name: str
) -> Hosts | dns.exception.DNSException:
    """IPv4 if there is one, as everywhere; why there is no address, if DNS says so for certain."""
    try:
        try:
            return await _hosts(resolver, name, "A")
        except dns.resolver.NoAnswer:
            return await _hosts(resolver, name, "AAAA")
    except _NO_ADDRESS as error:
        return error


async def _hosts(resolver: dns.asyncresolver.Resolver, name: str, kind: str) -> Hosts:
    answer = await resolver.resolve(name, kind, search=False)
    hosts = [record.address for record in answer]
    return hosts, float(answer.chaining_result.minimum_ttl)


def _identity(name: str) -> str | None:
    """Who servers are by TLS: the name that the configuration asks for, without `_service._proto`.

    Never the target of an SRV record: who forges an answer could name himself (RFC 9525 §6.1).
    """
    labels = [label for label in name.rstrip(".").split(".") if not label.startswith("_")]
    host = ".".join(labels)
    return host if re.fullmatch(patterns.HOST_NAME, host) else None


def _resolver(settings: Discover) -> dns.asyncresolver.Resolver:
    """Asks whom the settings say, or whom the system asks; keeps no answers of its own."""
    own = settings.nameservers
    resolver = dns.asyncresolver.Resolver(configure=not own)
    if own:
        addresses = [nameserver_address(text) for text in own]
        resolver.nameservers = [dns.nameserver.Do53Nameserver(*address) for address in addresses]
    resolver.lifetime = settings.timeout / 1_000
    return resolver
