"""Bodies that are taken in before a server is chosen: when, how far, and what that is good for."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event, ResponseReceived

from testkit.client import Client, Response
from testkit.ports import free_port
from testkit.site import Program, Site
from testkit.upstream import (
    OK,
    Upstream,
    forever,
    hang,
    read_head,
    read_request,
    reset,
    response,
    send,
)
from testkit.waiting import wait_until

SIZE = 10_000
BUFFER = f'buffer_request = "{SIZE}B"'


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


def serve(
    program: Program, *ports: int, route: str = BUFFER, listener: str = "", pool: str = ""
) -> Site:
    site = Site(ports, route=route, listener=listener, pool=pool)
    program.serve(site)
    return site


@pytest.fixture
def site(program: Program, upstream: Upstream) -> Site:
    return serve(program, upstream.port)


def head(*lines: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} / HTTP/1.1", "Host: a.example", *lines, "\r\n"]).encode()


CHUNKS = "Transfer-Encoding: chunked"


def in_chunks(body: bytes, size: int = 997) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def parts(request: bytes) -> tuple[bytes, bytes]:
    """Head and body as the upstream got them."""
    lines, _, body = request.partition(b"\r\n\r\n")
    return lines.lower(), body


def unchunked(body: bytes) -> tuple[bytes, bytes]:
    """Content, and the trailer section."""
    content = b""
    while size := int(body.split(b"\r\n", 1)[0], 16):
        body = body.split(b"\r\n", 1)[1]
        content, body = content + body[:size], body[size + 2 :]
    return content, body.split(b"\r\n", 1)[1]


def has_no_connection(upstream: Upstream, program: Program, site: Site) -> bool:
    (told,) = program.servers(site)
    return upstream.connection_count == 0 and told["active"] == 0


@pytest.mark.parametrize("size", [0, 1, 5_000, SIZE])
@pytest.mark.parametrize("kind", ["length", "chunks"])
def test_a_slow_upload_holds_no_server(
    program: Program, upstream: Upstream, site: Site, kind: str, size: int
) -> None:
    """The server gets it whole, with its length."""
    body = bytes(index % 251 for index in range(size))
    chunked = kind == "chunks"
    lines = CHUNKS if chunked else f"Content-Length: {size}"
    raw = in_chunks(body) if chunked else body
    with site.client() as client:
        client.send(head(lines))
        for start in range(0, len(raw) - 1, 3_000):
            client.send(raw[start : min(start + 3_000, len(raw) - 1)])
        if raw:
            assert has_no_connection(upstream, program, site)
            client.send(raw[-1:])
        assert client.read_response().status == 200
    (request,) = upstream.requests
    lines_there, body_there = parts(request)
    assert body_there == body
    assert b"\r\ncontent-length: %d" % size in lines_there
    assert b"transfer-encoding" not in lines_there
    (entry,) = program.log(site)
    assert (entry["status"], entry["request_bytes"]) == (200, size)


def test_one_byte_at_a_time(upstream: Upstream, site: Site) -> None:
    with site.client() as client:
        client.send_bytewise(head(CHUNKS) + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
        assert client.read_response().status == 200
    assert parts(upstream.requests[0])[1] == b"abcde"


@pytest.mark.parametrize("kind", ["length", "chunks", "trailers"])
def test_the_next_request_stays_whole(upstream: Upstream, site: Site, kind: str) -> None:
    """What comes behind the body in the same segment is the next request, to the byte."""
    bodies = {
        "length": head("Content-Length: 3") + b"abc",
        "chunks": head(CHUNKS) + in_chunks(b"abc"),
        "trailers": head(CHUNKS) + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    }
    first = bodies[kind]
    with site.client() as client:
        client.send(first[:-1])
        client.send(first[-1:] + head(method="GET") + first)
        assert [client.read_response().status for _ in range(3)] == [200] * 3
    methods = [request.split(b" ")[0] for request in upstream.requests]
    assert methods == [b"POST", b"GET", b"POST"]


@pytest.mark.parametrize("extra", [20_000, 200_000])
def test_what_is_larger_streams_on(upstream: Upstream, site: Site, extra: int) -> None:
    body = bytes(index % 251 for index in range(SIZE + extra))
    raw = in_chunks(body)
    with site.client() as client:
        client.send(head(CHUNKS) + raw)
        assert client.read_response().status == 200
        assert client.request(head(method="GET")).status == 200
    lines, there = parts(upstream.requests[0])
    assert b"transfer-encoding: chunked" in lines
    assert unchunked(there) == (body, b"\r\n")


def test_a_server_answers_while_the_rest_is_coming(program: Program, upstream: Upstream) -> None:
    upstream.script([read_head, send(response(b"early", "403 Forbidden")), hang])
    site = serve(program, upstream.port)
    with site.client() as client:
        client.send(head(CHUNKS) + b"%x\r\n%s\r\n" % (SIZE + 1, b"x" * (SIZE + 1)))
        assert client.read_response().body == b"early"


def test_a_declared_length_above_it_is_passed_on_at_once(
    program: Program, upstream: Upstream, site: Site
) -> None:
    with site.client() as client:
        client.send(head(f"Content-Length: {SIZE + 1}"))
        wait_until(lambda: upstream.connection_count == 1, timeout_s=5, what="the head")
        client.send(b"x" * (SIZE + 1))
        assert client.read_response().status == 200
    (entry,) = program.log(site)
    assert entry["request_bytes"] == SIZE + 1


MB = 1024 * 1024
# What a worker takes in of all bodies together (native/crates/engine/src/buffering.rs).
MOST_BYTES = 64 * MB


def test_all_bodies_together_have_a_bound(program: Program, upstream: Upstream) -> None:
    """Above it they are passed on as they come, and arrive whole."""
    size = MOST_BYTES + 8 * MB
    site = serve(program, upstream.port, route='buffer_request = "1GB"')
    piece = bytes(index % 251 for index in range(MB))
    with site.client() as large, site.client() as small:
        large.send(head(f"Content-Length: {size}"))
        for _ in range(MOST_BYTES // MB - 2):
            large.send(piece)
        small.send(head("Content-Length: 6") + b"abc")
        assert has_no_connection(upstream, program, site)
        large.send(piece * 3)
        wait_until(lambda: upstream.connection_count == 1, timeout_s=5, what="it to be passed on")
        small.send(b"d")
        wait_until(lambda: upstream.connection_count == 2, timeout_s=5, what="the small one, too")
        small.send(b"ef")
        assert small.read_response().status == 200
        large.send(piece * 7)
        assert large.read_response().status == 200
    bodies = sorted((parts(request)[1] for request in upstream.requests), key=len)
    assert bodies[0] == b"abcdef"
    assert bodies[1] == piece * (size // MB)
    again_from_the_beginning(program, site, upstream)


def again_from_the_beginning(program: Program, site: Site, upstream: Upstream) -> None:
    """What was held is given back: a body is taken in before a server is chosen."""
    before = len(upstream.requests)
    with site.client() as client:
        client.send(head("Content-Length: 6") + b"abc")
        with site.client() as other:
            assert other.request(head("Content-Length: 0")).status == 200
        assert len(upstream.requests) == before + 1
        assert program.servers(site)[0]["active"] == 0
        client.send(b"def")
        assert client.read_response().status == 200


def test_trailers_are_passed_on(upstream: Upstream, site: Site) -> None:
    with site.client() as client:
        reply = client.request(head(CHUNKS) + b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")
        assert reply.status == 200
    assert unchunked(parts(upstream.requests[0])[1]) == (b"abc", b"X-Sum: 1\r\n\r\n")


@pytest.mark.parametrize("lines", ["Content-Length: 3", CHUNKS])
def test_we_ask_for_the_body(program: Program, upstream: Upstream, site: Site, lines: str) -> None:
    """A client that waits for 100 Continue would wait for a server that is not chosen yet."""
    with site.client() as client:
        reply = client.request(head(lines, "Expect: 100-continue"))
        assert (reply.status, reply.body) == (100, b"")
        assert has_no_connection(upstream, program, site)
        client.send(b"abc" if lines != CHUNKS else in_chunks(b"abc"))
        assert client.read_response().status == 200
    lines_there, body = parts(upstream.requests[0])
    assert body == b"abc"
    assert b"expect" not in lines_there


def test_who_sends_unasked_is_not_asked(upstream: Upstream, site: Site) -> None:
    raw = head("Content-Length: 6", "Expect: 100-continue") + b"abc"
    with site.client() as client:
        client.send(raw)
        client.send(b"def")
        assert client.read_response().status == 200
    assert b"expect" not in parts(upstream.requests[0])[0]


def test_a_server_asks_for_what_is_larger(program: Program, upstream: Upstream) -> None:
    """It is passed on as it comes, the question included."""
    asked = send(b"HTTP/1.1 100 Continue\r\n\r\n")
    upstream.script([read_head, asked, hang])
    site = serve(program, upstream.port)
    with site.client() as client:
        client.send(head(f"Content-Length: {SIZE + 1}", "Expect: 100-continue"))
        assert client.read_response().status == 100
    assert b"expect: 100-continue" in upstream.requests[0].lower()


RETRIED = f'{BUFFER}\nretry.methods = ["POST"]'


@pytest.mark.parametrize("lines", ["Content-Length: 5000", CHUNKS])
def test_it_can_be_sent_again(program: Program, lines: str) -> None:
    """A server that dies with the request: the next one gets it, whole."""
    body = b"x" * 5_000
    with Upstream([read_request, reset]) as bad, Upstream() as good:
        site = serve(program, bad.port, good.port, route=RETRIED)
        for _ in range(4):
            with site.client() as client:
                client.send(head(lines))
                client.send(body if lines != CHUNKS else in_chunks(body))
                assert client.read_response().status == 200
        assert bad.requests
        assert [parts(request)[1] for request in good.requests] == [body] * 4
        assert [parts(request)[1] for request in bad.requests] == [body] * len(bad.requests)


def test_without_it_that_is_not_possible(program: Program) -> None:
    with Upstream([read_request, reset]) as bad, Upstream([read_request, reset]) as other:
        site = serve(program, bad.port, other.port, route='retry.methods = ["POST"]')
        with site.client() as client:
            client.send(head("Content-Length: 5000"))
            wait_until(
                lambda: bad.connection_count + other.connection_count, timeout_s=5, what="the head"
            )
            client.send(b"x" * 5_000)
            assert client.read_response().status == 502
        assert len(bad.requests) + len(other.requests) == 1


def test_what_streams_on_finds_another_server(program: Program, upstream: Upstream) -> None:
    """As long as nothing was sent."""
    site = serve(program, free_port(), upstream.port)
    body = b"x" * (SIZE + 50_000)
    for _ in range(4):
        with site.client() as client:
            client.send(head(CHUNKS) + in_chunks(body))
            assert client.read_response().status == 200
    assert [unchunked(parts(request)[1])[0] for request in upstream.requests] == [body] * 4


def refused(client: Client, status: int, reason: str) -> None:
    reply: Response = client.read_response()
    assert reply.status == status
    assert reply.body == f'{{"error":"{reason}","status":{status}}}'.encode()


@pytest.mark.parametrize("lines", ["Content-Length: 300", CHUNKS])
def test_a_client_that_stalls(program: Program, upstream: Upstream, lines: str) -> None:
    site = serve(program, upstream.port, listener='timeouts.body_idle = "100ms"')
    with site.client() as client:
        client.send(head(lines) + b"2\r\n")
        refused(client, 408, "request_body_timeout")
        assert client.is_closed()
    assert upstream.requests == []
    program.wait_for_failures(site, "request_body_timeout")


def test_the_time_for_everything_includes_it(program: Program, upstream: Upstream) -> None:
    site = serve(program, upstream.port, route=f'{BUFFER}\ntimeouts.total = "150ms"')
    with site.client() as client:
        client.send(head("Content-Length: 300") + b"abc")
        refused(client, 504, "total_timeout")
    assert upstream.requests == []


def test_the_time_for_a_server_does_not(program: Program, upstream: Upstream) -> None:
    site = serve(program, upstream.port, route=f'{BUFFER}\ntimeouts.response_head = "50ms"')
    with site.client() as client:
        client.send(head("Content-Length: 3"))
        client.send_bytewise(b"ab")
        wait_until(lambda: program.servers(site)[0]["active"] == 0, timeout_s=5, what="")
        client.send(b"c")
        assert client.read_response().status == 200


@pytest.mark.parametrize("lines", ["Content-Length: 300", CHUNKS])
def test_a_client_that_leaves(program: Program, upstream: Upstream, lines: str) -> None:
    site = serve(program, upstream.port)
    with site.client() as client:
        client.send(head(lines) + b"2\r\n")
    wait_until(
        lambda: program.failures(site, reason="client_closed") == 1,
        timeout_s=5,
        what="the client's end to be counted",
    )
    assert upstream.connection_count == 0


def test_nonsense(program: Program, upstream: Upstream, site: Site) -> None:
    with site.client() as client:
        client.send(head(CHUNKS) + b"zz\r\n")
        refused(client, 400, "bad_chunk_size")
        assert client.is_closed()
    assert upstream.connection_count == 0


def test_the_limit_of_bodies_holds(program: Program, upstream: Upstream) -> None:
    site = serve(program, upstream.port, listener='limits.body = "2KB"')
    with site.client() as client:
        client.send(head(CHUNKS) + b"%x\r\n%s\r\n" % (3_000, b"x" * 3_000))
        refused(client, 413, "body_too_large")
        assert client.is_closed()
    assert upstream.connection_count == 0


def test_tunnels_are_not_waited_for(program: Program, upstream: Upstream) -> None:
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
    upstream.script([read_head, send(switched), hang])
    site = serve(program, upstream.port)
    with site.client() as client:
        lines = ("Connection: upgrade", "Upgrade: echo")
        assert client.request(head(*lines, method="GET")).status == 101


def over_http2(site: Site) -> httpx.Client:
    return httpx.Client(
        http1=False, http2=True, timeout=5, base_url=f"http://127.0.0.1:{site.port}"
    )


def pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 1_000):
        yield body[start : start + 1_000]


@pytest.mark.parametrize("size", [1, SIZE, 3 * SIZE, 200_000])
@pytest.mark.parametrize("declared", [True, False])
def test_over_http2(
    program: Program, upstream: Upstream, site: Site, size: int, declared: bool
) -> None:
    body = bytes(index % 251 for index in range(size))
    content: Any = body if declared else pieces(body)
    with over_http2(site) as client:
        reply = client.post("/", content=content)
    assert (reply.status_code, reply.http_version) == (200, "HTTP/2")
    lines, there = parts(upstream.requests[0])
    if size <= SIZE or declared:
        assert b"content-length: %d" % size in lines
        assert there == body
    else:
        assert unchunked(there) == (body, b"\r\n")
    (entry,) = program.log(site)
    assert entry["request_bytes"] == size


@pytest.mark.parametrize("size", [1, SIZE, 3 * SIZE, 200_000])
@pytest.mark.parametrize("client_protocol", ["h1", "h2"])
def test_to_servers_of_http2(
    program: Program, upstream: Upstream, size: int, client_protocol: str
) -> None:
    """Through another listener of ours, which speaks it."""
    behind = Site([upstream.port])
    site = Site([behind.port], route=BUFFER, pool='protocol = "h2"')
    program.serve(site, behind)
    body = bytes(index % 251 for index in range(size))
    if client_protocol == "h2":
        with over_http2(site) as h2_client:
            assert h2_client.post("/", content=pieces(body)).status_code == 200
    else:
        with site.client() as client:
            client.send(head(CHUNKS) + in_chunks(body))
            assert client.read_response().status == 200
    lines, there = parts(upstream.requests[0])
    if size <= SIZE:
        assert b"content-length: %d" % size in lines
        assert there == body
    else:
        assert unchunked(there)[0] == body


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("to_stream", [False, True])
def test_trailers_over_http2(
    program: Program, upstream: Upstream, declared: bool, to_stream: bool
) -> None:
    """They are passed on where the body's framing has room for them, and never become its part."""
    behind = Site([upstream.port])
    pool = 'protocol = "h2"' if to_stream else ""
    site = Site([behind.port if to_stream else upstream.port], route=BUFFER, pool=pool)
    program.serve(site, behind)
    length = [("content-length", "3")] if declared else []
    with Client(site.port) as client:
        connection = H2Connection(H2Configuration(client_side=True))
        connection.initiate_connection()
        pseudo = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
        connection.send_headers(1, [*pseudo, *length])
        connection.send_data(1, b"abc")
        connection.send_headers(1, [("x-sum", "1")], end_stream=True)
        client.send(connection.data_to_send())
        upstream.wait_for_requests(1)
        status = ""
        while not status:
            events = connection.receive_data(client.socket.recv(65_536))
            status = next((_status(event) for event in events if _status(event)), "")
    assert status == "200"
    _, there = parts(upstream.requests[0])
    if declared:
        assert there == b"abc"
    else:
        assert unchunked(there) == (b"abc", b"x-sum: 1\r\n\r\n")


def _status(event: Event) -> str:
    if not isinstance(event, ResponseReceived):
        return ""
    return dict(event.headers)[b":status"].decode()


def test_many_after_each_other(program: Program, upstream: Upstream, site: Site) -> None:
    """One connection, bodies on both sides of the limit in turn."""
    sizes = [0, 3, SIZE, SIZE + 1, 40_000, 5, SIZE + 20_000, 1]
    with site.client() as client:
        for size in sizes:
            client.send(head(CHUNKS))
            client.send(in_chunks(b"y" * size))
            assert client.read_response().status == 200
    lengths = []
    for request in upstream.requests:
        lines, there = parts(request)
        declared = re.search(rb"content-length: (\d+)", lines)
        lengths.append(int(declared[1]) if declared else len(unchunked(there)[0]))
    assert lengths == sizes
    assert program.failures(site) == 0


def test_answers_come_from_well_behaved_servers(program: Program) -> None:
    """Kept connections are used again: what was sent is exactly one request."""
    with Upstream([forever(read_request, send(OK))]) as upstream:
        site = serve(program, upstream.port)
        with site.client() as client:
            for _ in range(5):
                client.send(head("Content-Length: 4"))
                client.send(b"abcd")
                assert client.read_response().status == 200
        assert upstream.connection_count == 1
