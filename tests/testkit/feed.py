r"""A response whose body a test gives piece by piece, while the server sends it.

feed = Feed()
upstream.script(feed.chunked("Content-Type: text/event-stream"))
feed.put(b"data: 1\n\n")
"""

import asyncio
from collections import deque

from testkit import http2_upstream, upstream
from testkit.pages import CHUNKED, chunk


class Feed:
    """Pieces on their way to one connection; an empty one is the end.

    The server's thread waits without holding one of the few that asyncio lends for waiting.
    """

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def put(self, piece: bytes) -> None:
        """Have this sent now."""
        self._pieces.append(piece)
        if self._waiting is not None:
            loop, arrived = self._waiting
            loop.call_soon_threadsafe(arrived.set)

    def end(self) -> None:
        """End the body as its framing wants it."""
        self.put(b"")

    def chunked(self, *lines: str) -> upstream.Script:
        """In a chunk each, behind a head with these lines."""

        async def stream(connection: upstream.Connection) -> None:
            while piece := await self._next():
                await upstream.send(chunk(piece))(connection)
            await upstream.send(b"0\r\n\r\n")(connection)

        return [upstream.read_request, upstream.send(_head(CHUNKED, *lines)), stream]

    def until_close(self, *lines: str) -> upstream.Script:
        """As they are; the end of the connection is that of the body."""

        async def stream(connection: upstream.Connection) -> None:
            while piece := await self._next():
                await upstream.send(piece)(connection)

        return [upstream.read_request, upstream.send(_head(*lines)), stream]

    def http2(self, *lines: str) -> http2_upstream.Script:
        """On a stream of HTTP/2; the lines are written as for the others."""
        pairs = (line.split(": ", 1) for line in lines)
        fields = [(":status", "200"), *((name.lower(), value) for name, value in pairs)]

        async def script(connection: http2_upstream.ServerConnection) -> None:
            request = await connection.next_request()
            await connection.send_head(request, *fields, end=False)
            while piece := await self._next():
                await connection.send_data(request, piece, end=False)
            await connection.send_data(request, b"", end=True)
            await connection.until(lambda: False)

        return script

    async def _next(self) -> bytes:
        arrived = asyncio.Event()
        # Before the look at what is here: a piece that comes in between wakes us.
        self._waiting = (asyncio.get_running_loop(), arrived)
        if not self._pieces:
            await arrived.wait()
        return self._pieces.popleft()


def _head(*lines: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode()
