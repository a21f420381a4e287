"""Servers that are written with a name become one server for each of its addresses."""

import asyncio
import socket
from collections.abc import Iterable

from trunkline.core.config.pool import Server
from trunkline.core.config.values import LONG_LABEL, Address
from trunkline.core.discovery.source import DiscoveryError


async def resolved(servers: Iterable[Server]) -> tuple[Server, ...]:
    """The same with IP addresses only.

    Raises:
        DiscoveryError: A name does not resolve.
    """
    return tuple([one for server in servers for one in await _each_address(server)])


async def _each_address(server: Server) -> list[Server]:
    name = server.name or str(server.address)
    hosts = await _hosts(server.address)
    if len(hosts) == 1:
        return [_at(server, hosts[0], name)]
    # As the plan names the addresses of one name (docs/concepts/configuration.md).
    return [_at(server, host, f"{name}@{host}") for host in hosts]


def _at(server: Server, host: str, name: str) -> Server:
    """The same server by an address; who it is by TLS stays what was written."""
    identity = server.host or server.address.name
    address = Address(host, server.address.port)
    return server.model_copy(update={"name": name, "address": address, "host": identity})


async def _hosts(address: Address) -> list[str]:
    """All addresses of one family, IPv4 if there is one: a name is one service either way."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DiscoveryError(f'"{address.host}" does not resolve: {error.strerror}') from error
    except UnicodeError as error:
        raise DiscoveryError(f'"{address.host}" does not resolve: {LONG_LABEL}') from error
    family = socket.AF_INET if any(f == socket.AF_INET for f, *_ in found) else socket.AF_INET6
    return list(dict.fromkeys(str(place[0]) for f, _, _, _, place in found if f == family))
