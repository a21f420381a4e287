"""Bytes both ways after 101 or CONNECT: early ones, many, half-closes, resets."""

from collections.abc import Iterator
from threading import Thread

import pytest

from testkit.client import Client
from testkit.upstream import (
    OK,
    Connection,
    Upstream,
    forever,
    half_close,
    hang,
    read_head,
    read_request,
    reset,
    response,
    send,
)
from testkit.waiting import wait_until
from vectors.http1_row import GET, get, post

UPGRADE = get(b"Connection: keep-alive, Upgrade", b"Upgrade: chat/2", b"X-Key: 1")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\n\r\n"
CONNECT = b"CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 OK\r\n\r\n"
MANY_BYTES = bytes(range(256)) * 8 * 1024


async def echo(connection: Connection) -> None:
    """Everything back, until the peer will send no more."""
    while data := await connection.reader.read(65536):
        connection.writer.write(data)
        await connection.writer.drain()


async def record_rest(connection: Connection) -> None:
    """Everything until the peer's end, as one more recorded request."""
    connection.requests.append(await connection.reader.read())


@pytest.fixture(params=["upgrade", "connect"])
def tunnel(
    request: pytest.FixtureRequest, ports: dict[str, int], upstream: Upstream
) -> Iterator[Client]:
    """An open tunnel to an upstream that echoes."""
    upgrades = request.param == "upgrade"
    upstream.script([read_head, send(SWITCH if upgrades else ESTABLISHED), echo])
    with Client(ports["tunnels"]) as client:
        if upgrades:
            assert client.request(UPGRADE).status == 101
        else:
            assert client.request(CONNECT, "CONNECT").status == 200
        yield client


def exchange(client: Client, data: bytes) -> bytes:
    """Send and read at the same time, then say that this was all."""

    def send_all() -> None:
        client.send(data)
        client.half_close()

    sender = Thread(target=send_all)
    sender.start()
    received = client.read_until_close()
    sender.join()
    return received


def test_few_bytes(tunnel: Client) -> None:
    assert exchange(tunnel, b"hello") == b"hello"


def test_many_bytes(tunnel: Client) -> None:
    assert exchange(tunnel, MANY_BYTES) == MANY_BYTES


def test_requests_within_a_tunnel_are_only_bytes(tunnel: Client, upstream: Upstream) -> None:
    assert exchange(tunnel, GET + b"\x00\r\r\n\n") == GET + b"\x00\r\r\n\n"
    assert len(upstream.requests) == 1


def test_client_that_leaves_ends_the_tunnel(tunnel: Client, upstream: Upstream) -> None:
    tunnel.reset()
    wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the server to be told")


def test_tunnels_are_not_used_again(tunnel: Client, upstream: Upstream) -> None:
    exchange(tunnel, b"hello")
    assert upstream.connection_count == 1
    wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the end of the tunnel")


def test_what_an_upgrade_is_told(client: Client, upstream: Upstream) -> None:
    upstream.script([read_head, send(SWITCH.replace(b"\r\n\r\n", b"\r\nX-Accept: 2\r\n\r\n"))])
    reply = client.request(UPGRADE)
    assert reply.value("Connection").lower() == "upgrade"
    assert reply.value("Upgrade") == "chat/2"
    assert reply.value("X-Accept") == "2"
    lines = upstream.requests[0].split(b"\r\n")
    assert [line for line in lines if line.lower().startswith(b"connection:")] == [
        b"Connection: upgrade"
    ]
    assert b"Upgrade: chat/2" in lines
    assert b"X-Key: 1" in lines


def test_client_bytes_that_come_with_the_upgrade(client: Client, upstream: Upstream) -> None:
    upstream.script([read_head, send(SWITCH), record_rest])
    client.send(UPGRADE + b"early")
    assert client.read_response().status == 101
    client.send(b" and late")
    client.half_close()
    assert upstream.wait_for_requests(2)[1] == b"early and late"


def test_server_bytes_that_come_with_the_switch(client: Client, upstream: Upstream) -> None:
    upstream.script([read_head, send(SWITCH + b"early"), send(b" and late")])
    assert client.request(UPGRADE).status == 101
    assert client.read_until_close() == b"early and late"


def test_server_that_will_send_no_more_still_hears(client: Client, upstream: Upstream) -> None:
    upstream.script([read_head, send(SWITCH + b"last"), half_close, record_rest])
    assert client.request(UPGRADE).status == 101
    assert client.read_until_close() == b"last"
    client.send(b"still here")
    client.half_close()
    assert upstream.wait_for_requests(2)[1] == b"still here"


def test_server_that_resets_ends_the_tunnel(client: Client, upstream: Upstream) -> None:
    upstream.script([read_head, send(SWITCH), reset])
    assert client.request(UPGRADE).status == 101
    assert client.is_closed()


def test_upgrade_that_the_server_does_not_follow(client: Client, upstream: Upstream) -> None:
    """What came behind it was a request after all."""
    upstream.script([forever(read_request, send(OK))])
    client.send(UPGRADE + GET)
    assert [client.read_response().body for _ in range(2)] == [b"ok", b"ok"]
    assert upstream.connection_count == 1


def test_upgrade_to_http2_is_not_offered(client: Client, upstream: Upstream) -> None:
    """It would open a tunnel around every rule (h2c smuggling)."""
    settings = [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA"]
    assert client.request(get(*settings)).body == b"ok"
    assert b"pgrade" not in upstream.requests[0]
    assert b"HTTP2" not in upstream.requests[0]


def test_connect_needs_a_route_that_lists_it(client: Client, upstream: Upstream) -> None:
    reply = client.request(CONNECT, "CONNECT")
    assert (reply.status, reply.value("X-Trunkline-Reason")) == (405, "connect_not_allowed")
    assert client.is_closed()
    assert upstream.connection_count == 0


def test_what_a_connect_is_told(ports: dict[str, int], upstream: Upstream) -> None:
    upstream.script([read_head, send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), hang])
    with Client(ports["tunnels"]) as client:
        reply = client.request(CONNECT, "CONNECT")
        # RFC 9110 §8.6: a tunnel has no length.
        assert reply.values("Content-Length") == []
        assert upstream.requests[0].startswith(b"CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n")


def test_connect_that_the_server_refuses(ports: dict[str, int], upstream: Upstream) -> None:
    upstream.script([read_request, send(response(b"no", "403 Forbidden")), hang])
    with Client(ports["tunnels"]) as client:
        reply = client.request(CONNECT, "CONNECT")
        assert (reply.status, reply.body) == (403, b"no")


def test_upgrade_with_a_body_is_not_offered(client: Client, upstream: Upstream) -> None:
    """The body would have to end before the protocol changes; no client does that."""
    fields = [b"Connection: Upgrade", b"Upgrade: chat", b"Content-Length: 5"]
    assert client.request(post(*fields)).status == 200
    assert b"pgrade" not in upstream.requests[0]


def test_early_bytes_of_a_refused_tunnel_are_no_request(
    ports: dict[str, int], upstream: Upstream
) -> None:
    """They were meant for the other end, and need not be the client's own words."""
    upstream.script([read_request, send(response(b"no", "403 Forbidden")), read_request, send(OK)])
    with Client(ports["tunnels"]) as client:
        client.send(CONNECT + get(b"X-Smuggled: 1"))
        assert client.read_response("CONNECT").status == 403
        assert client.is_closed()
    assert len(upstream.requests) == 1


def test_a_quiet_tunnel_stays_open(ports: dict[str, int], upstream: Upstream) -> None:
    """The times for head and body of a response are not the tunnel's."""
    upstream.script([read_head, send(SWITCH), echo])
    with Client(ports["impatient"], timeout_s=0.5) as client:
        assert client.request(UPGRADE).status == 101
        assert not client.is_closed()
        client.send(b"still there?")
        assert client.socket.recv(100) == b"still there?"
