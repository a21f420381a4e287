"""Tunnels through streams: CONNECT (RFC 9113 §8.5), to servers of both versions."""

from collections.abc import Callable, Iterator

import pytest

from testkit.client import Client
from testkit.http2 import Code
from testkit.http2_client import Http2Client
from testkit.http2_upstream import Http2Upstream, ServerConnection
from testkit.site import Program, Site
from testkit.upstream import (
    Connection,
    Upstream,
    half_close,
    hang,
    read_head,
    read_request,
    reset,
    response,
    send,
)
from testkit.waiting import wait_until

CONNECT = [(":method", "CONNECT"), (":authority", "test:443")]
ESTABLISHED = b"HTTP/1.1 200 OK\r\n\r\n"
ALLOWED = 'methods = ["CONNECT"]'
MANY_BYTES = bytes(range(256)) * 8 * 1024
Serve = Callable[..., Site]


async def echo(connection: Connection) -> None:
    """Everything back, until the peer will send no more."""
    while data := await connection.reader.read(65_536):
        connection.writer.write(data)
        await connection.writer.drain()


async def record_rest(connection: Connection) -> None:
    """Everything until the peer's end, as one more recorded request."""
    connection.requests.append(await connection.reader.read())


async def echo2(connection: ServerConnection) -> None:
    """The same on a stream."""
    request = await connection.next_head()
    await connection.send_head(request, (":status", "200"), end=False)
    sent = 0
    while not request.message.is_over:
        data = bytes(request.message.body[sent:])
        await connection.send_data(request, data, end=False)
        sent += len(data)
        await connection.step()
    await connection.send_data(request, bytes(request.message.body[sent:]), end=True)
    await connection.until(lambda: False)


@pytest.fixture(params=["http/1.1", "h2"])
def site(
    request: pytest.FixtureRequest,
    serve: Serve,
    serve2: Serve,
    upstream: Upstream,
    upstream2: Http2Upstream,
) -> Site:
    """Leads to a server of either version that echoes."""
    upstream.script([read_head, send(ESTABLISHED), echo])
    upstream2.script(echo2)
    serve_it = serve if request.param == "http/1.1" else serve2
    return serve_it(route=ALLOWED)


@pytest.fixture
def tunnel(client: Http2Client) -> int:
    stream = client.open(CONNECT, end=False)
    message = client.message(stream)
    client.run_until(lambda: bool(message.fields))
    assert (message.status, message.ended) == (200, False)
    return stream


def test_few_bytes(client: Http2Client, tunnel: int) -> None:
    message = client.message(tunnel)
    for word in (b"hello", b"again"):
        message.body.clear()
        client.send_data(tunnel, word)
        client.run_until(lambda: len(message.body) == 5)
        assert bytes(message.body) == word


def test_many_bytes(client: Http2Client, tunnel: int) -> None:
    client.send_data(tunnel, MANY_BYTES, end=True)
    message = client.response(tunnel)
    assert bytes(message.body) == MANY_BYTES
    assert message.ended


def test_the_end_of_one_side(client: Http2Client, tunnel: int) -> None:
    """The other is heard to its end."""
    client.send_data(tunnel, b"last words", end=True)
    message = client.response(tunnel)
    assert (bytes(message.body), message.ended) == (b"last words", True)


def test_no_length_and_no_coding(client: Http2Client, tunnel: int) -> None:
    names = {name for name, _ in client.message(tunnel).fields}
    assert names & {"content-length", "transfer-encoding"} == set()


class TestToHttp1:
    """What is particular to servers of HTTP/1.1."""

    @pytest.fixture
    def site(self, serve: Serve) -> Site:
        return serve(route=ALLOWED)

    def test_what_the_server_is_told(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script([read_head, send(ESTABLISHED), hang])
        client.open(CONNECT, end=False)
        upstream.wait_for_requests(1)
        assert upstream.requests[0].startswith(b"CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n")
        assert b"transfer-encoding" not in upstream.requests[0].lower()

    def test_many_on_one_connection(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script([read_head, send(ESTABLISHED), echo])
        first, second = (client.open(CONNECT, end=False) for _ in range(2))
        client.send_data(second, b"two", end=True)
        assert bytes(client.response(second).body) == b"two"
        client.send_data(first, b"one")
        client.run_until(lambda: bytes(client.message(first).body) == b"one")

    def test_early_bytes_of_the_server(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script([read_head, send(ESTABLISHED + b"early"), send(b" and late")])
        message = client.response(client.open(CONNECT, end=False))
        assert (bytes(message.body), message.ended) == (b"early and late", True)

    def test_early_bytes_of_the_client(self, client: Http2Client, upstream: Upstream) -> None:
        """They wait for the answer."""
        upstream.script([read_head, send(ESTABLISHED), record_rest])
        stream = client.open(CONNECT, end=False)
        client.send_data(stream, b"early")
        client.send_data(stream, b" and late", end=True)
        assert upstream.wait_for_requests(2)[1] == b"early and late"

    def test_a_server_that_will_send_no_more_still_hears(
        self, client: Http2Client, upstream: Upstream
    ) -> None:
        upstream.script([read_head, send(ESTABLISHED + b"last"), half_close, record_rest])
        stream = client.open(CONNECT, end=False)
        message = client.message(stream)
        client.run_until(lambda: message.ended)
        assert bytes(message.body) == b"last"
        client.send_data(stream, b"still here", end=True)
        assert upstream.wait_for_requests(2)[1] == b"still here"

    def test_a_server_that_resets(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script([read_head, send(ESTABLISHED), reset])
        message = client.response(client.open(CONNECT, end=False))
        assert message.status == 200
        assert message.is_over
        assert client.endpoint.goaway is None

    def test_a_client_that_resets(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script([read_head, send(ESTABLISHED), hang])
        stream = client.open(CONNECT, end=False)
        client.run_until(lambda: bool(client.message(stream).fields))
        client.reset(stream, Code.CANCEL)
        wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the server to be told")

    def test_refused_by_the_server(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script([read_request, send(response(b"no", "403 Forbidden")), hang])
        message = client.response(client.open(CONNECT, end=False))
        assert (message.status, bytes(message.body), message.ended) == (403, b"no", True)

    def test_a_route_must_list_it(self, serve: Serve, upstream: Upstream) -> None:
        with Http2Client(serve().port) as client:
            message = client.response(client.open(CONNECT, end=False))
            assert message.status == 405
            assert message.value("x-trunkline-reason") == "connect_not_allowed"
            assert upstream.connection_count == 0

    def test_an_idle_tunnel_ends(self, program: Program, serve: Serve, upstream: Upstream) -> None:
        site = serve('timeouts.tunnel_idle = "200ms"', route=ALLOWED)
        upstream.script([read_head, send(ESTABLISHED), hang])
        with Http2Client(site.port) as client:
            message = client.response(client.open(CONNECT, end=False))
            assert message.is_over
        wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the server to be told")
        program.wait_for_failures(site, "tunnel_idle")


class TestFromHttp1:
    """A client of HTTP/1.1 before a server of HTTP/2."""

    @pytest.fixture
    def plain(self, serve2: Serve) -> Iterator[Client]:
        with serve2(route=ALLOWED).client() as client:
            yield client

    def test_a_tunnel(self, plain: Client, upstream2: Http2Upstream) -> None:
        upstream2.script(echo2)
        raw = b"CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n"
        assert plain.request(raw, "CONNECT").status == 200
        plain.send(b"hello")
        plain.half_close()
        assert plain.read_until_close() == b"hello"
        (request,) = upstream2.requests
        names = [name for name, _ in request.fields if name.startswith(":")]
        assert sorted(names) == [":authority", ":method"]
        assert request.value(":authority") == "test:443"

    def test_refused(self, plain: Client, upstream2: Http2Upstream) -> None:
        async def refuse(connection: ServerConnection) -> None:
            request = await connection.next_head()
            await connection.respond(request, b"no", status=403)
            await connection.until(lambda: False)

        upstream2.script(refuse)
        raw = b"CONNECT test:443 HTTP/1.1\r\nHost: test:443\r\n\r\n"
        answer = plain.request(raw, "CONNECT")
        assert (answer.status, answer.body) == (403, b"no")
