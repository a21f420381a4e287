"""A server's time begins when the request is complete: what clients take is not charged to it."""

import asyncio
from collections.abc import Iterator

import pytest

from testkit.client import Client
from testkit.faultproxy import Fault, FaultProxy
from testkit.site import Program, Site
from testkit.upstream import OK, Connection, Upstream, forever, read_request, send

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
# Three pieces, so that a head takes 0.4 s.
SLOW = Fault(piece_bytes=10, interval_s=0.2)
SERVER_TIME_S = 0.02


async def work(_: Connection) -> None:
    await asyncio.sleep(SERVER_TIME_S)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream([forever(read_request, work, send(OK))]) as server:
        yield server


def ask_slowly(site: Site) -> int:
    """The status that a client gets whose head trickles in."""
    with FaultProxy(site.port) as line:
        line.set_uplink(SLOW)
        with Client(line.port) as client:
            return client.request(GET).status


def test_a_slow_head_takes_nothing_from_the_server_s_time(
    program: Program, upstream: Upstream
) -> None:
    site = Site([upstream.port], route='timeouts.response_head = "300ms"')
    program.serve(site)
    assert ask_slowly(site) == 200


def test_a_slow_client_makes_no_server_look_slow(program: Program, upstream: Upstream) -> None:
    """The average that peak_ewma goes by, and the log."""
    site = Site([upstream.port])
    program.serve(site)
    assert ask_slowly(site) == 200
    assert SERVER_TIME_S * 1_000 <= program.servers(site)[0]["ewma_ms"] < 200
    (entry,) = program.log(site)
    assert entry["duration_us"] >= 400_000
    assert SERVER_TIME_S * 1e6 <= entry["first_byte_us"] <= entry["upstream_us"] < 200_000


def test_each_latency_is_counted(program: Program, upstream: Upstream) -> None:
    site = Site([upstream.port])
    program.serve(site)
    for _ in range(3):
        assert site.get().status == 200
    name, pool = "trunkline_server_latency_seconds", f"lb.{site.name}"
    assert program.trunkline.metric(f"{name}_count", pool=pool) == 3
    assert 3 * SERVER_TIME_S <= program.trunkline.metric(f"{name}_sum", pool=pool) < 0.6
