"""Events and long responses pass as they come, with both versions at both edges."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from testkit.http2 import Message
from testkit.http2_client import Http2Client, head
from testkit.http2_upstream import Http2Upstream, ServerConnection
from testkit.site import Program, Site
from testkit.upstream import Connection, Upstream, read_head, read_request
from testkit.waiting import wait_until

GET = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n"
EVENTS = [b"data: %d\n\n" % number for number in range(5)]
Serve = Callable[..., Site]


class Gate:
    """Lets a server go on, one step at a time."""

    def __init__(self) -> None:
        self._steps = threading.Semaphore(0)

    def open(self) -> None:
        """One step more."""
        self._steps.release()

    async def passed(self) -> None:
        """Wait for a step.

        Raises:
            TimeoutError: If it was not let go on in 5 s.
        """
        if not await asyncio.to_thread(self._steps.acquire, timeout=5):
            raise TimeoutError


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def upstream(gate: Gate) -> Iterator[Upstream]:
    """Sends an event in a chunk each time it is let go on."""

    async def events(connection: Connection) -> None:
        lines = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked"
        connection.writer.write(lines + b"\r\n\r\n")
        for event in EVENTS:
            await gate.passed()
            connection.writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        await gate.passed()
        connection.writer.write(b"0\r\n\r\n")

    with Upstream([read_request, events]) as server:
        yield server


@pytest.fixture
def upstream2(gate: Gate) -> Iterator[Http2Upstream]:
    async def events(connection: ServerConnection) -> None:
        request = await connection.next_request()
        fields = ((":status", "200"), ("content-type", "text/event-stream"))
        await connection.send_head(request, *fields, end=False)
        for event in EVENTS:
            await gate.passed()
            await connection.send_data(request, event, end=False)
        await gate.passed()
        await connection.send_data(request, b"", end=True)
        await connection.until(lambda: False)

    with Http2Upstream(events) as server:
        yield server


@pytest.fixture(params=["http/1.1", "h2"])
def site(request: pytest.FixtureRequest, serve: Serve, serve2: Serve) -> Site:
    return serve() if request.param == "http/1.1" else serve2()


def has_come(message: Message, body: bytes) -> Callable[[], bool]:
    """Whether this is all the content so far."""
    return lambda: bytes(message.body) == body


def test_events_to_http2(site: Site, gate: Gate) -> None:
    with Http2Client(site.port) as client:
        stream = client.open(head("GET", "/events"))
        message = client.message(stream)
        client.run_until(lambda: bool(message.fields))
        seen = b""
        for event in EVENTS:
            gate.open()
            seen += event
            client.run_until(has_come(message, seen))
            assert not message.ended
        gate.open()
        client.run_until(lambda: message.ended)


def test_events_to_http1(site: Site, gate: Gate) -> None:
    with site.client() as client:
        client.send(GET)
        raw = b""
        while not raw.endswith(b"\r\n\r\n"):
            raw += client.socket.recv(1_000)
        for event in EVENTS:
            gate.open()
            raw = b""
            while event not in raw:
                raw += client.socket.recv(1_000)
        gate.open()
        assert client.socket.recv(1_000).endswith(b"0\r\n\r\n")


def test_two_streams_side_by_side(serve: Serve, gate: Gate, upstream: Upstream) -> None:
    """One that waits for its events does not hold up the other."""
    with Http2Client(serve().port) as client:
        messages = [client.message(client.open()) for _ in range(2)]
        client.run_until(lambda: all(message.fields for message in messages))
        for _ in range(2 * len(EVENTS) + 2):
            gate.open()
        client.run_until(lambda: all(message.ended for message in messages))
        assert all(bytes(message.body) == b"".join(EVENTS) for message in messages)


class TestUploads:
    """Requests pass as they come, too."""

    @pytest.mark.parametrize("framing", ["length", "chunks"])
    def test_to_http1(self, serve: Serve, upstream: Upstream, framing: str) -> None:
        got = bytearray()

        async def take(connection: Connection) -> None:
            while data := await connection.reader.read(100):
                got.extend(data)

        upstream.script([read_head, take])
        length = [("content-length", "15")] if framing == "length" else []
        with Http2Client(serve().port) as client:
            stream = client.open(head("POST", "/", *length), end=False)
            for piece in (b"first", b"again", b"third"):
                client.send_data(stream, piece)
                wait_until(partial(got.count, piece), timeout_s=5, what="the piece")

    def test_to_http2(self, serve2: Serve, upstream2: Http2Upstream) -> None:
        async def take(connection: ServerConnection) -> None:
            await connection.next_head()
            await connection.until(lambda: False)

        upstream2.script(take)
        with Http2Client(serve2().port) as client:
            stream = client.open(head("POST"), end=False)
            for piece in (b"first", b"again", b"third"):
                client.send_data(stream, piece)
                (request,) = upstream2.wait_for_requests(1)
                body = request.message.body
                wait_until(partial(body.count, piece), timeout_s=5, what="the piece")

    def test_both_ways_at_once(self, serve2: Serve, upstream2: Http2Upstream) -> None:
        """A conversation, as gRPC has it: the answer has begun before the request is over."""

        async def converse(connection: ServerConnection) -> None:
            request = await connection.next_head()
            await connection.send_head(request, (":status", "200"), end=False)
            sent = 0
            while not request.message.ended:
                fresh = bytes(request.message.body[sent:])
                await connection.send_data(request, fresh.upper(), end=False)
                sent += len(fresh)
                await connection.step()
            await connection.send_head(request, ("x-end", "1"), end=True)
            await connection.until(lambda: False)

        upstream2.script(converse)
        with Http2Client(serve2().port) as client:
            stream = client.open(head("POST"), end=False)
            message = client.message(stream)
            for word in (b"one", b"two", b"three"):
                message.body.clear()
                client.send_data(stream, word)
                client.run_until(has_come(message, word.upper()))
            client.send_data(stream, b"", end=True)
            assert client.response(stream).trailers == [("x-end", "1")]


def test_a_response_that_outlives_its_request(
    program: Program, serve: Serve, upstream: Upstream
) -> None:
    """A server of HTTP/1.1 that answers while the body still comes: both go on."""

    async def converse(connection: Connection) -> None:
        await read_head(connection)
        connection.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        await connection.reader.readexactly(5)
        connection.writer.write(b"llo")

    upstream.script([converse])
    site = serve()
    with Http2Client(site.port) as client:
        stream = client.open(head("POST", "/", ("content-length", "5")), end=False)
        message = client.message(stream)
        client.run_until(lambda: bytes(message.body) == b"he")
        client.send_data(stream, b"there", end=True)
        assert bytes(client.response(stream).body) == b"hello"
    assert program.failures(site) == 0
