"""Server-sent events and other long responses: each piece is there before the next one is sent.

A page's ``EventSource`` sees an event when its bytes are there, so whatever holds them back on the
way, a buffer, a coding, a record of TLS, would be seen as an event that is late. The route of all
tests compresses whatever it may, and clients accept it.
"""

import random
from collections.abc import Iterator

import pytest

from testkit import curl
from testkit.certificates import Authority
from testkit.client import Client
from testkit.feed import Feed
from testkit.http2 import Code
from testkit.http2_client import Http2Client
from testkit.http2_upstream import Http2Upstream
from testkit.site import Program, Site
from testkit.tls import listener_tls
from testkit.upstream import Upstream, hang, read_request, send
from testkit.waiting import wait_until

EVENTS = ("Content-Type: text/event-stream", "Cache-Control: no-store")
ROUTE = 'compression = { min_size = "0B", types = ["text/*"] }'
CODINGS = "zstd, br, gzip"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BEGUN = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ndata: 1\n\r\n"
CLIENTS = ["1.0", "1.1", "2", "1.1-tls", "2-tls"]
SERVERS = ["chunked", "until_close", "http2"]
LARGE = random.Random(3).randbytes(150_000)


@pytest.fixture
def feed() -> Feed:
    return Feed()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, feed: Feed) -> Iterator[Upstream | Http2Upstream]:
    """Sends what it is fed, framed in one of three ways."""
    script = getattr(feed, request.param)(*EVENTS)
    kind = Http2Upstream if request.param == "http2" else Upstream
    with kind(script) as running:
        yield running


def serve(program: Program, server: Upstream | Http2Upstream, listener: str = "") -> Site:
    pool = 'protocol = "h2"' if isinstance(server, Http2Upstream) else ""
    site = Site([server.port], route=ROUTE, listener=listener, pool=pool)
    program.serve(site)
    return site


@pytest.fixture(params=CLIENTS)
def client(
    request: pytest.FixtureRequest,
    program: Program,
    server: Upstream | Http2Upstream,
    authority: Authority,
) -> Iterator[curl.Stream]:
    """Reads the events, over one of the versions."""
    version, _, tls = request.param.partition("-")
    issued = authority.issue("edge", ["127.0.0.1"])
    site = serve(program, server, listener_tls(issued) if tls else "")
    ca = authority.ca if tls else None
    with curl.Stream(site.port, version, encoding=CODINGS, ca=ca) as stream:
        yield stream


def test_each_event_is_there_before_the_next(client: curl.Stream, feed: Feed) -> None:
    sent = b""
    for number in range(50):
        event = b"id: %d\ndata: x\n\n" % number
        feed.put(event)
        sent += event
        client.wait_for(sent)
    assert b"content-encoding" not in client.head.lower()
    feed.end()
    assert client.finish() == 0


def test_events_that_are_larger_than_buffers(client: curl.Stream, feed: Feed) -> None:
    sent = b""
    for number in range(5):
        event = b"data: %d " % number + LARGE
        feed.put(event)
        sent += event
        client.wait_for(sent)
    feed.end()
    assert client.finish() == 0


def test_many_streams_on_one_connection(program: Program) -> None:
    """Each gets its own events, while the others wait for theirs."""
    feeds = [Feed() for _ in range(30)]
    with Upstream(*[feed.chunked(*EVENTS) for feed in feeds]) as server:
        with Http2Client(serve(program, server).port) as client:
            messages = [client.message(client.open()) for _ in feeds]
            for count in range(1, 4):
                for number, feed in enumerate(feeds):
                    feed.put(b"%02d," % number)
                client.run_until(lambda: all(len(each.body) == 3 * count for each in messages))  # noqa: B023
        expected = {b"%02d," % number * 3 for number in range(len(feeds))}
        assert {bytes(message.body) for message in messages} == expected


def test_a_client_that_leaves(program: Program) -> None:
    """Its server is told, though it has nothing to say."""
    with Upstream([read_request, send(BEGUN), hang]) as server:
        site = serve(program, server)
        with Http2Client(site.port) as client:
            stream = client.open()
            client.run_until(lambda: bool(client.message(stream).body))
            client.reset(stream, Code.CANCEL)
            wait_until(lambda: server.open_count == 0, timeout_s=10, what="the end at the server")
        with Client(site.port) as leaving:
            leaving.send(GET)
            assert leaving.socket.recv(1) == b"H"
            leaving.reset()
            wait_until(lambda: server.open_count == 0, timeout_s=10, what="the end at the server")


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_a_server_that_stops_in_the_middle(program: Program, version: str) -> None:
    """Not taken for the end of the events."""
    with Upstream([read_request, send(BEGUN), hang]) as server:
        site = serve(program, server)
        with curl.Stream(site.port, version, encoding=CODINGS) as stream:
            stream.wait_for(b"data: 1\n")
            server.die()
            expected = {"1.1": curl.PARTIAL_FILE, "2": curl.STREAM_ERROR}
            assert stream.finish() == expected[version]
