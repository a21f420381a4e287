"""Connections to servers: opened, kept, found stale, thrown away; servers that die and return."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from testkit.faultproxy import FaultProxy, Then
from testkit.ports import free_port
from testkit.site import Program, Site
from testkit.upstream import (
    OK,
    WELL_BEHAVED,
    Connection,
    Step,
    Upstream,
    forever,
    half_close,
    hang,
    read_request,
    response,
    send,
)
from testkit.waiting import wait_until

ONE_TRY = "retry.attempts = 1"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


def serve(program: Program, *ports: int, route: str = ONE_TRY, pool: str = "") -> Site:
    site = Site(ports, route=route, pool=pool)
    program.serve(site)
    return site


def idle(program: Program, site: Site) -> int:
    return int(program.servers(site)[0]["idle_connections"])


def test_a_server_that_refuses(program: Program) -> None:
    site = serve(program, free_port())
    answer = site.get()
    assert (answer.status, answer.body) == (502, b'{"error":"connect_failed","status":502}')
    program.wait_for_failures(site, "connect_failed", 1)
    assert program.log(site)[0]["reason"] == "connect_failed"


def test_a_server_that_does_not_accept(program: Program) -> None:
    """Its queue of connections is full, so the kernel drops what asks for more."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        site = serve(program, port, pool='connect_timeout = "200ms"')
        with socket.create_connection(("127.0.0.1", port)):
            answer = site.get()
    assert (answer.status, answer.body) == (504, b'{"error":"connect_timeout","status":504}')
    (entry,) = program.log(site)
    assert entry["reason"] == "connect_timeout"
    assert 200_000 <= entry["duration_us"] < 1_000_000


def test_a_server_that_dies_and_returns(program: Program, upstream: Upstream) -> None:
    site = serve(program, upstream.port)
    with site.client() as client:
        assert client.request(GET).status == 200
        upstream.die()
        assert client.request(GET).status == 502
        assert client.request(GET).status == 502
        upstream.come_back()
        assert client.request(GET).status == 200
    assert [entry["status"] for entry in program.log(site, 4)] == [200, 502, 502, 200]


def test_connections_are_reused(program: Program, upstream: Upstream) -> None:
    site = serve(program, upstream.port)
    for _ in range(5):
        site.get()
    assert upstream.connection_count == 1
    name = f"127.0.0.1:{upstream.port}"
    assert program.trunkline.metric("trunkline_server_connects_total", server=name) == 1
    assert program.trunkline.metric("trunkline_server_reuses_total", server=name) == 4


@pytest.mark.parametrize("way", [Then.CUT, Then.RESET])
def test_a_kept_connection_that_ended_is_not_used(
    program: Program, upstream: Upstream, way: Then
) -> None:
    with FaultProxy(upstream.port) as proxy:
        site = serve(program, proxy.port)
        site.get()
        proxy.end_connections(way)
        wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the end of the connection")
        assert site.get().status == 200
    assert upstream.connection_count == 2
    assert program.failures(site) == 0


def test_many_refusals_hide_no_end(program: Program, upstream: Upstream) -> None:
    """Pipelined before a POST, they use up what a task may do without a pause (128 steps)."""
    upstream.script([read_request, send(OK)])
    site = serve(program, upstream.port, route='path = "/ok"')
    for count in range(122, 132):
        assert site.get("/ok").status == 200
        wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the end of the connection")
        with site.client() as client:
            client.send(GET * count + POST)
            assert {client.read_response().status for _ in range(count)} == {404}
            assert client.read_response().status == 200


def fill(site: Site, count: int) -> None:
    """So many requests at the same time, on a connection to a server each."""
    with ThreadPoolExecutor(count) as threads:
        statuses = list(threads.map(lambda _: site.get().status, range(count)))
    assert statuses == [200] * count


def all_at_once(count: int) -> Step:
    """Wait for so many requests; those that come later do not wait."""
    together = threading.Barrier(count, timeout=10)

    async def step(_: Connection) -> None:
        if len(seen) < count:
            seen.append(1)
            await asyncio.to_thread(together.wait)

    seen: list[int] = []
    return step


def test_a_stale_connection_is_free_once(program: Program, upstream: Upstream) -> None:
    """Of three that end with the next request one is tried, then a new one is made."""
    upstream.script([read_request, all_at_once(3), send(OK), read_request])
    site = serve(program, upstream.port)
    fill(site, 3)
    assert site.get().status == 200
    assert (len(upstream.requests), upstream.connection_count) == (5, 4)
    assert program.failures(site) == 0


def test_a_stale_connection_is_not_free_for_a_post(program: Program, upstream: Upstream) -> None:
    """Whether the server has done it is not known (RFC 9112 §9.3.1)."""
    upstream.script([read_request, send(OK), read_request])
    site = serve(program, upstream.port)
    assert site.get().status == 200
    with site.client() as client:
        assert client.request(POST.replace(b"/ok", b"/")).status == 502
    assert len(upstream.requests) == 2


def test_who_hangs_on_kept_connections_is_put_out(program: Program, upstream: Upstream) -> None:
    """Silence is no idle close: it is the server's fault as on a new connection."""
    upstream.script([read_request, all_at_once(3), send(OK), read_request, hang])
    outlier = "outlier = { consecutive_failures = 2, max_ejected = 1.0 }"
    times = f'{ONE_TRY}\ntimeouts.response_head = "150ms"'
    site = serve(program, upstream.port, route=times, pool=outlier)
    fill(site, 3)
    assert [site.get().status for _ in range(3)] == [504, 504, 503]


def test_stray_bytes_spoil_a_kept_connection(program: Program, upstream: Upstream) -> None:
    """What a server says unasked must never become the answer to the next request."""
    answered = threading.Event()

    async def until_answered(_: Connection) -> None:
        await asyncio.to_thread(answered.wait, 10)

    late = [read_request, send(OK), until_answered, send(response(b"late")), hang]
    upstream.script(late, WELL_BEHAVED)
    site = serve(program, upstream.port)
    site.get()
    wait_until(lambda: idle(program, site) == 1, timeout_s=5, what="the connection to be kept")
    answered.set()
    wait_until(lambda: idle(program, site) == 0, timeout_s=5, what="the connection to be left")
    assert site.get().body == b"ok"
    assert upstream.connection_count == 2


def test_more_than_declared(program: Program, upstream: Upstream) -> None:
    """The client gets what was declared; the connection with the rest is thrown away."""
    upstream.script([read_request, send(OK + b"HTTP/1.1 200 OK\r\n"), hang])
    site = serve(program, upstream.port)
    with site.client() as client:
        assert client.request(GET).body == b"ok"
        assert client.request(GET).body == b"ok"
    assert upstream.connection_count == 2
    program.wait_for_failures(site, "response_excess", 2)
    assert {entry["reason"] for entry in program.log(site, 2)} == {"response_excess"}


def test_more_than_the_last_chunk(program: Program, upstream: Upstream) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    upstream.script([read_request, send(chunked + OK), hang])
    site = serve(program, upstream.port)
    with site.client() as client:
        assert client.request(GET).body == b"ok"
        assert client.request(GET).body == b"ok"
    assert upstream.connection_count == 2
    program.wait_for_failures(site, "response_excess", 2)


def test_a_body_until_the_end_of_the_connection(program: Program, upstream: Upstream) -> None:
    upstream.script([read_request, send(b"HTTP/1.1 200 OK\r\n\r\nuntil"), half_close, hang])
    site = serve(program, upstream.port)
    with site.client() as client:
        assert client.request(GET).body == b"until"
        assert client.request(GET).body == b"until"
    assert program.failures(site) == 0


def test_a_server_that_says_close(program: Program, upstream: Upstream) -> None:
    upstream.script([forever(read_request, send(response(b"ok", "200 OK", "Connection: close")))])
    site = serve(program, upstream.port)
    with site.client() as client:
        for _ in range(3):
            assert client.request(GET).status == 200
    assert upstream.connection_count == 3
    assert idle(program, site) == 0


def test_requests_per_kept_connection(program: Program, upstream: Upstream) -> None:
    site = serve(program, upstream.port, pool="keep_alive.requests = 2")
    for _ in range(6):
        site.get()
    assert upstream.connection_count == 3


def test_none_is_kept(program: Program, upstream: Upstream) -> None:
    site = serve(program, upstream.port, pool="keep_alive.idle = 0")
    for _ in range(3):
        site.get()
    assert upstream.connection_count == 3
    wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the connections to end")


def test_so_many_are_kept(program: Program, upstream: Upstream) -> None:
    """Of five at once, two stay."""
    together = threading.Barrier(5, timeout=10)

    async def all_here(_: Connection) -> None:
        await asyncio.to_thread(together.wait)

    upstream.script([read_request, all_here, send(OK), hang])
    site = serve(program, upstream.port, pool="keep_alive.idle = 2")
    with ThreadPoolExecutor(5) as threads:
        answers = list(threads.map(lambda _: site.get().status, range(5)))
    assert answers == [200] * 5
    wait_until(lambda: upstream.open_count == 2, timeout_s=5, what="the others to end")
    assert idle(program, site) == 2


def test_the_idle_time(program: Program, upstream: Upstream) -> None:
    """Looked over once a second."""
    site = serve(program, upstream.port, pool='keep_alive.idle_timeout = "100ms"')
    site.get()
    wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the kept connection to end")
    assert idle(program, site) == 0
    assert site.get().status == 200
    assert upstream.connection_count == 2
