"""What goes through TLS is what was sent: in pieces of any size, both ways, however slow."""

import asyncio
import select
import ssl
from collections.abc import Iterator
from threading import Thread

import pytest
from websockets.sync.client import connect
from websockets.sync.server import Server, ServerConnection, serve

from testkit.certificates import Issued
from testkit.client import Client
from testkit.procfs import rss_bytes
from testkit.site import Program, Site
from testkit.tls import listener_tls
from testkit.upstream import Connection, Upstream, read_head, read_request, response, send

GET = b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n"
# Around a record (16 KB) and the proxy's buffers (16 KB, 64 KB).
SIZES = [1, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 3_000_000]
BYTES = bytes(range(256)) * 12_000
BIG = response(b"x" * 20_000_000)
PACE_S = 0.05
PIECE = 2_000_000


@pytest.fixture
def site(program: Program, upstream: Upstream, certificate: Issued) -> Site:
    keys = listener_tls(certificate) + 'timeouts.body_idle = "300ms"\n'
    site = Site([upstream.port], listener=keys)
    program.serve(site)
    return site


@pytest.fixture
def client(site: Site, trust: ssl.SSLContext) -> Iterator[Client]:
    with site.secure(trust) as connection:
        yield connection


async def stay(_: Connection) -> None:
    """Read nothing, end never."""
    await asyncio.Event().wait()


def post(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize("size", SIZES)
def test_sizes(client: Client, upstream: Upstream, size: int) -> None:
    """One after another on one connection, up and down."""
    body = BYTES[:size]
    upstream.script([read_request, send(response(body)), read_request, send(response(b"last"))])
    assert client.request(post(body)).body == body
    assert upstream.requests[0].endswith(b"\r\n\r\n" + body)
    assert client.request(GET).body == b"last"


def test_chunks_down(client: Client, upstream: Upstream) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (size, BYTES[:size]) for size in SIZES[:-1])
    upstream.script([read_request, send(head + chunks + b"0\r\nX-End: 1\r\n\r\n")])
    answer = client.request(GET)
    assert answer.body == b"".join(BYTES[:size] for size in SIZES[:-1])
    assert answer.trailers == [("x-end", "1")]


def test_one_byte_in_a_record(client: Client) -> None:
    client.send_bytewise(post(b"hello"))
    assert client.read_response().body.endswith(b"\r\n\r\nhello")


def test_many_requests_in_a_record(client: Client) -> None:
    client.send(GET * 50)
    assert [client.read_response().status for _ in range(50)] == [200] * 50


def test_interim_responses(client: Client, upstream: Upstream) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    upstream.script([read_request, send(hints), send(response(b"then"))])
    client.send(GET)
    assert client.read_response().status == 103
    assert client.read_response().body == b"then"


def test_the_end_is_said(client: Client, upstream: Upstream) -> None:
    """close_notify: a client knows that nothing was cut off (RFC 8446 §6.1)."""
    assert isinstance(client.socket, ssl.SSLSocket)
    client.socket.__dict__["suppress_ragged_eofs"] = False
    answer = client.request(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.status == 200
    assert client.socket.recv(100) == b""


def test_a_client_that_reads_slowly_gets_everything(
    program: Program, site: Site, trust: ssl.SSLContext, upstream: Upstream
) -> None:
    """And fills no memory meanwhile."""
    upstream.script([read_request, send(response(b"warm"))], [read_request, send(BIG)])
    with site.secure(trust) as warm:
        warm.request(GET)
    before = rss_bytes(program.trunkline.pid)
    with site.secure(trust) as client:
        client.send(GET)
        for _ in range(len(BIG) // PIECE):
            assert not select.select([], [], [], PACE_S)[0]
            read(client, PIECE)
        assert rss_bytes(program.trunkline.pid) - before < 4_000_000
        read(client, len(BIG) % PIECE)
    assert program.failures(site) == 0


def read(client: Client, size: int) -> None:
    """So many bytes and no end."""
    while size:
        piece = client.socket.recv(size)
        assert piece
        size -= len(piece)


def test_a_client_that_stops_reading(
    program: Program, site: Site, trust: ssl.SSLContext, upstream: Upstream
) -> None:
    upstream.script([read_request, send(BIG)])
    with site.secure(trust) as client:
        client.send(GET)
        (entry,) = program.log(site)
    assert (entry["status"], entry["reason"]) == (200, "client_stalled")
    assert entry["response_bytes"] < len(BIG) // 2


def test_an_upload_that_nobody_takes(
    program: Program, site: Site, trust: ssl.SSLContext, upstream: Upstream
) -> None:
    """What the server does not read is not read from the client."""
    upstream.script([read_head, stay])
    before = rss_bytes(program.trunkline.pid)
    with site.secure(trust) as client:
        client.socket.settimeout(0.5)
        with pytest.raises((TimeoutError, ssl.SSLError, ConnectionError)):
            client.send(post(b"x" * 30_000_000))
        assert rss_bytes(program.trunkline.pid) - before < 6_000_000


@pytest.fixture
def websocket_server() -> Iterator[Server]:
    def answer(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    with serve(answer, "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_websocket(
    program: Program, certificate: Issued, trust: ssl.SSLContext, websocket_server: Server
) -> None:
    site = Site([websocket_server.socket.getsockname()[1]], listener=listener_tls(certificate))
    program.serve(site)
    url = f"wss://127.0.0.1:{site.port}/chat"
    with connect(url, ssl=trust, server_hostname="site.example") as websocket:
        for message in ("hi", "é" * 1_000, b"\x00" * 70_000, BYTES[:1_000_000]):
            websocket.send(message)
            assert websocket.recv(timeout=5) == message
