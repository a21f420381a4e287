"""An upstream that does what its script says, well-behaved or not, and records what it was asked.

A script is a sequence of steps for one connection. The connections take the scripts in order, the
last one again and again; when its steps are over, the connection is closed. Requests are recorded
raw, byte for byte as they came.

    Upstream([read_request, send(OK)], [read_request, hang])
"""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from testkit import tcp
from testkit.loopthread import LoopThread
from testkit.waiting import wait_until


class Connection:
    """One accepted connection, as the steps see it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: list[bytes]
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.requests = requests


Step = Callable[[Connection], Awaitable[None]]
Script = Sequence[Step]


def response(body: bytes = b"ok", status: str = "200 OK", *headers: str) -> bytes:
    """A plain response with Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def read_request(connection: Connection) -> None:
    """Wait for one whole request (head, and body by length or chunks) and record it.

    Raises:
        asyncio.IncompleteReadError: If the peer ended first; this ends the script.
    """
    head = await connection.reader.readuntil(b"\r\n\r\n")
    connection.requests.append(head + await _read_body(connection.reader, head))


async def read_head(connection: Connection) -> None:
    """Wait for the head of a request only and record it; its body stays unread."""
    connection.requests.append(await connection.reader.readuntil(b"\r\n\r\n"))


def send(data: bytes) -> Step:
    """Send these bytes."""
    return send_slowly(data, piece_bytes=len(data), interval_s=0)


def send_slowly(data: bytes, *, piece_bytes: int, interval_s: float) -> Step:
    """Send these bytes in pieces with a pause after each."""

    async def step(connection: Connection) -> None:
        for start in range(0, len(data), piece_bytes):
            connection.writer.write(data[start : start + piece_bytes])
            await connection.writer.drain()
            await asyncio.sleep(interval_s)

    return step


def answer(data: bytes) -> Script:
    """Read one request, send these bytes."""
    return [read_request, send(data)]


def forever(*steps: Step) -> Step:
    """These steps again and again, until the peer ends the connection."""

    async def step(connection: Connection) -> None:
        while True:
            for inner in steps:
                await inner(connection)

    return step


async def hang(connection: Connection) -> None:
    """Stay open and silent until the peer ends the connection."""
    while await connection.reader.read(65536):
        pass


async def reset(connection: Connection) -> None:
    """End with RST."""
    tcp.reset(connection.writer)


async def half_close(connection: Connection) -> None:
    """Say that no more bytes will come; still read."""
    connection.writer.write_eof()


OK = response()
WELL_BEHAVED: Script = [forever(read_request, send(OK))]


class Upstream:
    """A scripted server on a loopback port, in a thread of its own.

    Args:
        scripts: One for each connection in the order they come, the last one repeats.
        port: Where to listen; 0 = any.
        tls: Default: in the clear.
    """

    def __init__(self, *scripts: Script, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._scripts = list(scripts) or [WELL_BEHAVED]
        self._loop = LoopThread("upstream")
        self._listener = tcp.Listener(self._serve, port, tls)
        self.requests: list[bytes] = []
        self.connection_count = 0
        self.come_back()

    @property
    def port(self) -> int:
        """Where it listens, the same for its whole life."""
        return self._listener.port

    @property
    def open_count(self) -> int:
        """Connections that are open now."""
        return len(self._listener.writers)

    def script(self, *scripts: Script) -> None:
        """Other scripts for the connections from now on."""
        self._scripts = list(scripts)

    def die(self) -> None:
        """Like a killed process: connections are reset, new ones refused."""
        self._loop.call(self._listener.close())
        self._loop.call(self._listener.reset_all())

    def come_back(self) -> None:
        """Listen again, on the same port."""
        self._loop.call(self._listener.open())

    def wait_for_requests(self, count: int, timeout_s: float = 5) -> list[bytes]:
        """The recorded requests, once there are at least so many.

        Raises:
            TimeoutError: If they did not come.
        """
        wait_until(
            lambda: len(self.requests) >= count,
            timeout_s=timeout_s,
            what=f"{count} requests at the upstream",
        )
        return self.requests

    def close(self) -> None:
        """Die for good and end the thread."""
        self.die()
        self._loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        self.connection_count += 1
        try:
            for step in script:
                await step(Connection(reader, writer, self.requests))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the peer ended the connection; so does the script


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if length:
        return await reader.readexactly(int(length[1]))
    if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE):
        return await _read_chunks(reader)
    return b""


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    """The chunks as they came, size lines and trailers included."""
    raw = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        raw += line
        size = int(line.split(b";")[0], 16)
        if size == 0:
            break
        raw += await reader.readexactly(size + 2)
    while not raw.endswith(b"\r\n\r\n"):
        raw += await reader.readuntil(b"\r\n")
    return raw
