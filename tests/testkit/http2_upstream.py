"""A server of HTTP/2 that does what its script says, well-behaved or not, in a thread of its own.

A script is a coroutine function for one connection; the connections take the scripts in order, the
last one again and again. When it returns, the connection is closed.

    async def refuse(connection: ServerConnection) -> None:
        request = await connection.next_request()
        await connection.send(RstStreamFrame(request.stream, Code.REFUSED_STREAM))

    Http2Upstream(refuse, WELL_BEHAVED)
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Self

from hyperframe.frame import Frame

from testkit import tcp
from testkit.http2 import PREFACE, Endpoint, Fields, Message
from testkit.loopthread import LoopThread
from testkit.waiting import wait_until

_READ_BYTES = 65_536


@dataclass
class Request:
    """A request and its stream; ``message`` grows while the connection is read."""

    stream: int
    message: Message
    connection_number: int

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The head."""
        return self.message.fields

    def value(self, name: str) -> str:
        """The value of a field that must be there once."""
        return self.message.value(name)


class ServerConnection:
    """One accepted connection, as scripts see it.

    Args:
        streams: The connection's bytes.
        settings: What its SETTINGS say.
        number: 1 for the first connection.
        requests: All that come are added here.
    """

    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        settings: Mapping[int, int],
        number: int,
        requests: list[Request],
    ) -> None:
        self.reader, self.writer = streams
        self.endpoint = Endpoint(settings)
        self.number = number
        self.open: dict[int, Request] = {}
        """Requests that nobody has taken."""
        self._requests = requests
        self._seen: set[int] = set()

    async def begin(self) -> None:
        """Read the preface, send SETTINGS."""
        preface = await self.reader.readexactly(len(PREFACE))
        assert preface == PREFACE, preface
        await self.flush()

    async def step(self) -> None:
        """Read once.

        Raises:
            EOFError: If the peer ended the connection.
        """
        data = await self.reader.read(_READ_BYTES)
        if not data:
            raise EOFError
        self.endpoint.receive(data)
        self._note_requests()
        await self.flush()

    async def until(self, check: Callable[[], bool]) -> None:
        """Read until it is true."""
        while not check():
            await self.step()

    async def next_head(self) -> Request:
        """The next request whose head is here."""
        await self.until(lambda: bool(self.open))
        return self.open.pop(min(self.open))

    async def next_request(self) -> Request:
        """The next request that is complete."""
        whole: list[int] = []

        def is_there() -> bool:
            whole[:] = [number for number, each in self.open.items() if each.message.ended]
            return bool(whole)

        await self.until(is_there)
        return self.open.pop(min(whole))

    async def send(self, *frames: Frame | bytes) -> None:
        """Send frames, or whatever bytes."""
        for frame in frames:
            self.endpoint.output += frame if isinstance(frame, bytes) else frame.serialize()
        await self.flush()

    async def send_head(self, request: Request, *fields: tuple[str, str], end: bool) -> None:
        """Send HEADERS: an interim or final head, or trailers."""
        self.endpoint.send_head(request.stream, fields, end=end)
        await self.flush()

    async def send_data(self, request: Request, data: bytes, *, end: bool) -> None:
        """Send DATA as the windows allow, reading on meanwhile."""
        sent = self.endpoint.send_data(request.stream, data, end=end)
        await self.flush()
        while sent < len(data):
            await self.until(lambda: self.endpoint.window(request.stream) > 0)
            sent += self.endpoint.send_data(request.stream, data[sent:], end=end)
            await self.flush()

    async def respond(
        self, request: Request, body: bytes = b"ok", *fields: tuple[str, str], status: int = 200
    ) -> None:
        """Send a response without trailers and without Content-Length."""
        await self.send_head(request, (":status", str(status)), *fields, end=not body)
        if body:
            await self.send_data(request, body, end=True)

    async def flush(self) -> None:
        """Send what the endpoint has to say."""
        self.writer.write(self.endpoint.take_output())
        await self.writer.drain()

    def _note_requests(self) -> None:
        for stream, message in self.endpoint.messages.items():
            if message.fields and stream not in self._seen:
                self._seen.add(stream)
                self.open[stream] = Request(stream, message, self.number)
                self._requests.append(self.open[stream])


Script = Callable[[ServerConnection], Awaitable[None]]


def answer_with(body: bytes = b"ok", *fields: tuple[str, str], status: int = 200) -> Script:
    """Every request gets this."""

    async def script(connection: ServerConnection) -> None:
        while True:
            request = await connection.next_request()
            await connection.respond(request, body, *fields, status=status)

    return script


async def silent(connection: ServerConnection) -> None:
    """Take everything in and never answer."""
    await connection.until(lambda: False)


def head_of(fields: Fields) -> dict[str, str]:
    """Fields of a head in which none is repeated."""
    assert len(dict(fields)) == len(fields), fields
    return dict(fields)


WELL_BEHAVED = answer_with()


class Http2Upstream:
    """A scripted server on a loopback port.

    Args:
        scripts: One for each connection in the order they come, the last one repeats.
        port: Where to listen; 0 = any.
        tls: Default: in the clear.
        settings: What its SETTINGS say.
    """

    def __init__(
        self,
        *scripts: Script,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        settings: Mapping[int, int] | None = None,
    ) -> None:
        self._scripts = list(scripts) or [WELL_BEHAVED]
        self.settings = dict(settings or {})
        self.requests: list[Request] = []
        self.connection_count = 0
        self._loop = LoopThread("http2-upstream")
        self._listener = tcp.Listener(self._serve, port, tls)
        self._loop.call(self._listener.open())

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._listener.port

    @property
    def open_count(self) -> int:
        """Connections that are open now."""
        return len(self._listener.writers)

    def script(self, *scripts: Script) -> None:
        """Other scripts for the connections from now on."""
        self._scripts = list(scripts)

    def wait_for_requests(self, count: int, timeout_s: float = 5) -> list[Request]:
        """The requests, once the heads of so many are here."""
        wait_until(
            lambda: len(self.requests) >= count,
            timeout_s=timeout_s,
            what=f"{count} requests at the server",
        )
        return self.requests

    def end_connections(self) -> None:
        """Reset all that are open."""
        self._loop.call(self._listener.reset_all())

    def close(self) -> None:
        """Stop listening, reset what is open, end the thread."""
        self._loop.call(self._listener.close())
        self.end_connections()
        self._loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        self.connection_count += 1
        streams = (reader, writer)
        connection = ServerConnection(streams, self.settings, self.connection_count, self.requests)
        try:
            await connection.begin()
            await script(connection)
        except (OSError, EOFError):
            pass  # the peer ended the connection; so does the script
