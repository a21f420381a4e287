"""Upgrades through a gateway: filters decide on the request; the tunnel outlives its API."""

from collections.abc import Iterator

import pytest

from testkit.gateway import Gateway
from testkit.upstream import Connection, Upstream, read_request, send
from testkit.waiting import wait_until

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n%s\r\n"
KEY = b"X-API-Key: key\r\n"
CONSUMERS = 'consumers.alice.keys = ["key"]'
FILTERS = """
filters = [
    { type = "request_id" },
    { type = "api_key" },
    { type = "rate_limit", key = "consumer", limit = 1, period = "1d" },
    { type = "circuit_breaker", consecutive_failures = 1 },
]
"""


async def echo(connection: Connection) -> None:
    """Bytes back, until the peer ends."""
    while data := await connection.reader.read(4096):
        connection.writer.write(data)


@pytest.fixture
def echoing() -> Iterator[Upstream]:
    with Upstream([read_request, send(SWITCHING), echo]) as server:
        yield server


def test_filters_decide_about_an_upgrade(gateway: Gateway, echoing: Upstream) -> None:
    gateway.serve({"it": FILTERS}, gateway=CONSUMERS, servers=[echoing.port])
    with gateway.client() as stranger:
        assert stranger.request(UPGRADE % b"").status == 401
    with gateway.client() as client:
        switched = client.request(UPGRADE % KEY)
        assert (switched.status, switched.value("upgrade")) == (101, "echo")
        assert len(switched.value("x-request-id")) == 32
        assert ";r=0;" in switched.value("ratelimit")
        client.send(b"through")
        assert client.socket.recv(100) == b"through"
    with gateway.client() as second:
        assert second.request(UPGRADE % KEY).status == 429
    (request,) = echoing.requests
    assert b"key" not in request.lower()
    assert b"X-Request-Id: " in request or b"x-request-id: " in request


def test_a_tunnel_outlives_its_api(gateway: Gateway, echoing: Upstream) -> None:
    """A reload that takes the API and its server away cuts nobody off."""
    gateway.serve({"it": FILTERS}, gateway=CONSUMERS, servers=[echoing.port])
    with gateway.client() as client:
        assert client.request(UPGRADE % KEY).status == 101
        gateway.change({"other": 'path = "/other"'})
        assert gateway.ask().status == 404
        client.send(b"still here")
        assert client.socket.recv(100) == b"still here"
    wait_until(lambda: echoing.open_count == 0, timeout_s=5, what="the end to be passed on")


def test_what_a_tunnel_was(gateway: Gateway, echoing: Upstream) -> None:
    gateway.serve({"it": FILTERS}, gateway=CONSUMERS, servers=[echoing.port])
    with gateway.client() as client:
        assert client.request(UPGRADE % KEY).status == 101
        client.send(b"12345")
        assert client.socket.recv(100) == b"12345"
    (entry,) = gateway.log()
    assert (entry["status"], entry["consumer"], entry["response_bytes"]) == (101, "alice", 5)
