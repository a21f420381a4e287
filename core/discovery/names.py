"""Servers from DNS: A and AAAA with one port for all, or SRV with ports of their own (RFC 2782).

An answer holds for its TTL, the shortest one of all records that led to it, at least the source's
own interval and at most five minutes. SRV priorities become ours in their order, 0 being the first.
"""

import asyncio
import re

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from trunkline.core.config import patterns
from trunkline.core.config.discover import Discover, nameserver_address
from trunkline.core.config.pool import Server
from trunkline.core.config.values import Address
from trunkline.core.discovery.source import DiscoveryError, Found

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
        self._name = settings.name or ""
        self._type = settings.type or "A"
        self._port = settings.port or 0
        self._host = _identity(self._name)
        self._shortest_s = settings.interval / 1_000
        self._resolver = _resolver(settings)

    def __str__(self) -> str:
        return f"{self._type} {self._name}"

    async def find(self) -> Found:
        """The servers that DNS knows.

        Raises:
            DiscoveryError: No answer in time, or no such record.
        """
        try:
            servers, ttl_s = await (self._services() if self._type == "SRV" else self._addresses())
        except dns.exception.DNSException as error:
            raise DiscoveryError(f"{self}: {error}") from error
        return Found(tuple(servers), min(max(ttl_s, self._shortest_s), LONGEST_S))

    async def _addresses(self) -> tuple[list[Server], float]:
        hosts, ttl_s = await self._hosts(self._name, self._type)
        addresses = [Address(host, self._port) for host in hosts]
        return [Server(address=address, host=self._host) for address in addresses], ttl_s

    async def _services(self) -> tuple[list[Server], float]:
        answer = await self._resolver.resolve(self._name, "SRV", search=False)
        records = [record for record in answer if record.target != dns.name.root]
        priorities = sorted({record.priority for record in records})
        targets = [self._hosts_of_either_family(record.target.to_text(True)) for record in records]
        servers: list[Server] = []
        ttl_s = float(answer.chaining_result.minimum_ttl)
        for record, (hosts, host_ttl_s) in zip(
            records, await asyncio.gather(*targets), strict=True
        ):
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

    async def _hosts_of_either_family(self, name: str) -> tuple[list[str], float]:
        """IPv4 if there is one, as everywhere."""
        try:
            return await self._hosts(name, "A")
        except dns.resolver.NoAnswer:
            return await self._hosts(name, "AAAA")

    async def _hosts(self, name: str, kind: str) -> tuple[list[str], float]:
        answer = await self._resolver.resolve(name, kind, search=False)
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
