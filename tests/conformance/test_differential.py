"""The same malformed and odd requests through the proxy to seven servers: all must read the same.

What the proxy refuses, none of them may see. What it forwards is recorded by the kit's own server,
byte for byte; that is the reading that the others are held to, but for the documented quirks
(``quirks.py``). After each row one more request goes over the connections that the proxy has kept:
had a server taken another end of the last message than the proxy, it would be read wrongly.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest

from conformance.quirks import expected
from testkit.client import Client
from testkit.origins import Origin, start_origins
from testkit.ports import free_port
from testkit.readings import Forwarded, Reading, all_forwarded
from testkit.trunkline import Trunkline
from testkit.upstream import Upstream
from vectors import http1_requests, odd_requests, smuggling_codings, smuggling_lengths
from vectors.http1_row import GET

ROWS = {
    **{f"{row.section} {row.name}": row.raw for row in http1_requests.ROWS},
    **smuggling_codings.ROWS,
    **smuggling_lengths.ROWS,
    **odd_requests.ROWS,
}
LAST = b"GET /last HTTP/1.1\r\nHost: test\r\n\r\n"
# Made from the pool's name for a client of HTTP/1.0 that names no host.
POOL_HOST = "lb.behind"


@dataclass
class World:
    """All servers behind one proxy, with a listener for each.

    Attributes:
        ports: Name of the server → where the proxy listens for it.
        reference: Records what is forwarded.
        origins: The servers.
    """

    ports: dict[str, int]
    reference: Upstream
    origins: list[Origin]

    def forwarded(self, raw: bytes) -> tuple[list[Forwarded], list[str]]:
        """What goes out for these bytes and for ``LAST`` after them; the answers to the client."""
        before = len(self.reference.requests)
        answers = exchange(self.ports["reference"], raw) + exchange(self.ports["reference"], LAST)
        return all_forwarded(self.reference.requests[before:]), answers

    def read(self, origin: Origin, raw: bytes) -> tuple[list[Reading], list[str]]:
        """The same for one of the servers."""
        port = self.ports[origin.name]
        answers = exchange(port, raw) + exchange(port, LAST)
        return [with_pool_host(reading) for reading in origin.take()], answers


def with_pool_host(reading: Reading) -> Reading:
    """The host that the proxy has made up is another for each server."""
    if not reading.fields["HOST"].startswith(POOL_HOST):
        return reading
    return replace(reading, fields={**reading.fields, "HOST": POOL_HOST})


def exchange(port: int, raw: bytes) -> list[str]:
    """Send, end the sending side, read to the end: for each answer why we refused, or ``-``."""
    with Client(port) as client:
        client.send(raw)
        client.half_close()
        received = client.read_until_close()
    heads = re.finditer(rb"HTTP/1\.1 [2-5]\d\d [^\r]*\r\n((?:[^\r]+\r\n)*)\r\n", received)
    reasons = (re.search(rb"X-Trunkline-Reason: (\w+)", head[1]) for head in heads)
    return [reason[1].decode() if reason else "-" for reason in reasons]


def configuration(ports: dict[str, int], upstream_ports: dict[str, int]) -> str:
    return "".join(
        f'[lb.http.{name}]\nlisten = "127.0.0.1:{ports[name]}"\nreason_header = true\n'
        f'routes = [{{ pool = "behind-{name}", rewrite.headers.remove = ["X-Removed"] }}]\n'
        f'[lb.pools.behind-{name}]\nservers = ["127.0.0.1:{port}"]\n'
        for name, port in upstream_ports.items()
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        origins = start_origins(tmp_path_factory.mktemp("origins"))
        for origin in origins:
            stack.callback(origin.stop)
        reference = stack.enter_context(Upstream())
        behind = {"reference": reference.port, **{origin.name: origin.port for origin in origins}}
        ports = {name: free_port() for name in behind}
        directory = tmp_path_factory.mktemp("proxy")
        stack.enter_context(Trunkline(directory, configuration(ports, behind)))
        yield World(ports, reference, origins)


@pytest.mark.parametrize("raw", ROWS.values(), ids=ROWS)
def test_all_read_the_same(raw: bytes, world: World) -> None:
    forwarded, answers = world.forwarded(raw)
    assert forwarded[-1].target == "/last"
    for origin in world.origins:
        readings = [expected(origin.name, request) for request in forwarded]
        right = [with_pool_host(reading) for reading in readings if reading is not None]
        assert (origin.name, *world.read(origin, raw)) == (origin.name, right, answers)


@pytest.mark.parametrize("name", ["X-Removed", "x-REMOVED", "X_Removed", "X.Removed"])
def test_what_is_removed_stays_removed(name: str, world: World) -> None:
    """Under no name that a server may fold into the one that is removed."""
    raw = GET.replace(b"\r\n\r\n", f"\r\n{name}: 1\r\n\r\n".encode())
    for origin in world.origins:
        readings, _ = world.read(origin, raw)
        assert "X_REMOVED" not in readings[0].fields, origin.name


def test_connections_are_kept(world: World) -> None:
    """Else ``LAST`` would come over a new connection and prove nothing."""
    for origin in world.origins:
        readings, _ = world.read(origin, GET + GET)
        assert len({reading.connection for reading in readings}) == 1, origin.name
