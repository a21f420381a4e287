"""Clients that trickle, stall, stop reading or vanish: status, log reason, metric, and no leak."""

import select
import socket
from collections.abc import Callable, Iterator

import pytest

from testkit.client import Client
from testkit.procfs import fd_count, rss_bytes
from testkit.site import Program, Site
from testkit.upstream import (
    OK,
    Connection,
    Upstream,
    hang,
    read_head,
    read_request,
    response,
    send,
)
from testkit.waiting import wait_until

CLIENT_TIMES = """
timeouts.request_head = "300ms"
timeouts.body_idle = "300ms"
timeouts.keep_alive = "300ms"
"""
ROUTE_TIMES = 'timeouts.body_idle = "300ms"'
HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
GET = HEAD + b"\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
# Far more than the buffers of the sockets between two processes on loopback hold.
BIG = response(b"x" * 20_000_000)
PACE_S = 0.05


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture
def site(program: Program, upstream: Upstream) -> Site:
    site = Site([upstream.port], listener=CLIENT_TIMES, route=ROUTE_TIMES)
    program.serve(site)
    return site


def judge(program: Program, site: Site, status: int, reason: str) -> None:
    """The only entry of the log and the only failure counted are these; the server is free."""
    (entry,) = program.log(site)
    assert (entry["status"], entry["reason"]) == (status, reason)
    assert program.failures(site) == program.failures(site, reason=reason) == 1
    assert program.servers(site)[0]["active"] == 0


def trickle(client: Client, piece: bytes) -> None:
    """Send the piece again and again, until the other side says something."""
    while not select.select([client.socket], [], [], PACE_S)[0]:
        client.send(piece)


@pytest.mark.parametrize("start", [b"G", b"GET / HTTP/1.1\r\nHost:", GET[:-1]])
def test_a_head_that_stops(program: Program, site: Site, start: bytes) -> None:
    with site.client() as client:
        client.send(start)
        assert client.read_response().status == 408
        assert client.is_closed()
    judge(program, site, 408, "request_head_timeout")


def test_a_head_that_trickles(program: Program, site: Site, upstream: Upstream) -> None:
    """The time is for the whole head: no byte prolongs it."""
    with site.client() as client:
        client.send(HEAD)
        trickle(client, b"a: b\r\n")
        assert client.read_response().status == 408
    judge(program, site, 408, "request_head_timeout")
    assert upstream.requests == []


def test_silence_is_no_request(program: Program, site: Site) -> None:
    """A connection without a byte is closed without an answer, and nothing is logged."""
    with site.client() as client:
        assert client.read_until_close() == b""
        with site.client() as second:
            second.request(GET)
            assert second.read_until_close() == b""
    assert [entry["status"] for entry in program.log(site)] == [200]
    assert program.failures(site) == 0


@pytest.mark.parametrize("request_head", [POST, CHUNKED + b"5\r\n"], ids=["length", "chunked"])
def test_a_body_that_stops(
    program: Program, site: Site, upstream: Upstream, request_head: bytes
) -> None:
    upstream.script([read_head, hang])
    with site.client() as client:
        client.send(request_head + b"half")
        assert client.read_response().status == 408
        assert client.is_closed()
    judge(program, site, 408, "request_body_timeout")
    wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the server's connection to end")


def test_a_body_that_trickles_is_let_through(
    program: Program, site: Site, upstream: Upstream
) -> None:
    with site.client() as client:
        client.send(CHUNKED)
        for _ in range(12):
            assert not select.select([client.socket], [], [], PACE_S)[0]
            client.send(b"1\r\nx\r\n")
        assert client.request(b"0\r\n\r\n").status == 200
    assert program.failures(site) == 0


def half_a_head(client: Client) -> None:
    client.send(GET[:-2])


def half_a_body(client: Client) -> None:
    client.send(POST + b"half")


def half_a_chunk(client: Client) -> None:
    client.send(CHUNKED + b"8\r\nhalf")


@pytest.mark.parametrize("begin", [half_a_head, half_a_body, half_a_chunk])
@pytest.mark.parametrize("leave", [Client.close, Client.reset])
def test_a_client_that_leaves_within_its_request(
    program: Program,
    site: Site,
    upstream: Upstream,
    begin: Callable[[Client], None],
    leave: Callable[[Client], None],
) -> None:
    upstream.script([read_head, hang])
    client = site.client()
    begin(client)
    if begin is not half_a_head:
        upstream.wait_for_requests(1)
    leave(client)
    judge(program, site, 0, "client_closed")
    wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the server's connection to end")


def test_a_client_that_leaves_within_the_response(
    program: Program, site: Site, upstream: Upstream
) -> None:
    upstream.script([read_request, send(BIG)])
    client = site.client()
    client.send(GET)
    assert client.socket.recv(1000).startswith(b"HTTP/1.1 200")
    client.reset()
    judge(program, site, 200, "client_closed")
    wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the server's connection to end")


def test_a_client_that_stops_reading(program: Program, site: Site, upstream: Upstream) -> None:
    """It slows the server down, fills no memory, and is left in the end."""
    upstream.script([read_request, send(BIG)])
    before = rss_bytes(program.trunkline.pid)
    with site.client(receive_buffer_bytes=4096) as client:
        client.send(GET)
        judge(program, site, 200, "client_stalled")
        assert rss_bytes(program.trunkline.pid) - before < 4_000_000
    (entry,) = program.log(site)
    assert entry["response_bytes"] < len(BIG) // 2


def test_a_client_that_reads_slowly_gets_everything(
    program: Program, site: Site, upstream: Upstream
) -> None:
    """The time is for each step, not for the whole body."""
    upstream.script([read_request, send(BIG)])
    received = 0
    with site.client() as client:
        client.send(GET)
        while received < len(BIG):
            assert not select.select([], [], [], PACE_S)[0]
            received += len(client.socket.recv(1_000_000, socket.MSG_WAITALL))
    assert program.failures(site) == 0
    assert program.log(site)[0]["duration_us"] > 300_000


def round_of_clients(site: Site) -> None:
    """Forty that leave at different points, half of them by a reset."""
    clients = [site.client() for _ in range(40)]
    for number, client in enumerate(clients):
        client.send([b"GET", POST + b"half", CHUNKED + b"8\r\nhalf", GET][number % 4])
    for number, client in enumerate(clients):
        (Client.close if number % 8 < 4 else Client.reset)(client)


def test_nothing_is_left_of_them(program: Program, site: Site, upstream: Upstream) -> None:
    """Descriptors return to what they were, and so does memory, over many of each kind."""
    upstream.script([read_request, send(response(b"x" * 100_000))])
    pid, empty = program.trunkline.pid, fd_count(program.trunkline.pid)
    for _ in range(2):
        round_of_clients(site)
    wait_until(lambda: fd_count(pid) <= empty, timeout_s=5, what="the first to be forgotten")
    before = rss_bytes(pid)
    for _ in range(10):
        round_of_clients(site)
    wait_until(lambda: fd_count(pid) <= empty, timeout_s=5, what="the descriptors to return")
    assert program.servers(site)[0]["active"] == 0
    assert rss_bytes(pid) - before < 4_000_000
    upstream.script([read_request, send(OK)])
    assert site.get().status == 200


@pytest.mark.parametrize("keys", ["", 'buffer_request = "1KB"'], ids=["passed on", "taken in"])
def test_a_body_that_takes_all_the_time(program: Program, upstream: Upstream, keys: str) -> None:
    """The server has not had a complete request: it is not to blame."""
    upstream.script([read_head, hang])
    site = Site([upstream.port], route=f'timeouts.total = "300ms"\n{keys}')
    program.serve(site)
    with site.client() as client:
        client.send(POST + b"half")
        assert client.read_response().status == 504
    judge(program, site, 504, "total_timeout")
    assert program.blamed(site, "total_timeout") == "client"
    assert program.servers(site)[0]["failures"] == 0


def pause_in_body(site: Site) -> int:
    """The status that a client gets who pauses for longer than a server may take."""
    with site.client() as client:
        client.send(POST + b"half")
        assert not select.select([client.socket], [], [], 0.4)[0]
        client.send(b"whole!")
        return client.read_response().status


SHORT_HEAD_TIME = 'timeouts.response_head = "150ms"'


@pytest.mark.parametrize("early", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"], ids=["", "103"])
def test_a_pause_in_a_body_is_not_the_servers(
    program: Program, upstream: Upstream, early: bytes
) -> None:
    async def early_hints(connection: Connection) -> None:
        connection.writer.write(early)

    upstream.script([early_hints, read_request, send(OK)])
    listener = 'timeouts.body_idle = "5s"'
    site = Site([upstream.port], listener=listener, route=SHORT_HEAD_TIME)
    program.serve(site)
    if early:
        with site.client() as client:
            client.send(POST + b"half")
            assert client.read_response().status == 103
            assert not select.select([client.socket], [], [], 0.4)[0]
            client.send(b"whole!")
            assert client.read_response().status == 200
    else:
        assert pause_in_body(site) == 200
    assert program.failures(site) == 0


def test_after_the_body_the_server_has_its_own_time(program: Program, upstream: Upstream) -> None:
    upstream.script([read_request, hang])
    listener = 'timeouts.body_idle = "20s"'
    site = Site([upstream.port], listener=listener, route=f"{SHORT_HEAD_TIME}\nretry.attempts = 1")
    program.serve(site)
    assert pause_in_body(site) == 504
    judge(program, site, 504, "response_timeout")


def test_a_client_that_pauses_for_good_is_named(program: Program, upstream: Upstream) -> None:
    upstream.script([read_head, hang])
    site = Site([upstream.port], listener=CLIENT_TIMES, route=SHORT_HEAD_TIME)
    program.serve(site)
    with site.client() as client:
        client.send(POST + b"half")
        assert client.read_response().status == 408
    judge(program, site, 408, "request_body_timeout")
    assert program.servers(site)[0]["failures"] == 0
