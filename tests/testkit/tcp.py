"""Two ways to end a TCP connection from an asyncio stream; a listener that can come back."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress

# struct linger { on, seconds }: closing with it sends RST instead of FIN (socket(7)).
LINGER_RESET = struct.pack("ii", 1, 0)


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST; what was not sent yet is lost."""
    connection = writer.get_extra_info("socket")
    if connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
    writer.transport.abort()


def close(writer: asyncio.StreamWriter) -> None:
    """End the connection with FIN after everything written has been sent."""
    writer.close()


# As long as the kernel allows: a flood of connections is the proxy's affair, not this listener's.
_BACKLOG = 4_096
# asyncio takes three turns of the loop from accept to telling the server, and some to close.
TURNS_TO_ACCEPT = 10


class Listener:
    """A loopback listener that keeps its port over closing and opening.

    Args:
        serve: Called for each connection; the connection is closed when it returns.
        port: 0 lets the kernel choose once.
        tls: Default: in the clear. Connections whose handshake fails are not served.
    """

    def __init__(
        self,
        serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = port
        self.writers: set[asyncio.StreamWriter] = set()
        """Of the connections that are open now."""
        self._serve = serve
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Accept connections; nothing happens if it already does."""
        if self._server is None:
            self._server = await asyncio.start_server(
                self._accept, "127.0.0.1", self.port, ssl=self._tls, backlog=_BACKLOG
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse connections from now on; open ones are not touched."""
        if self._server is None:
            return
        server, self._server = self._server, None
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        # In Python 3.11 a connection that asyncio has accepted, but not yet attached to its server,
        # is never closed if the server is closed meanwhile.
        for _ in range(TURNS_TO_ACCEPT):
            await asyncio.sleep(0)
        server.close()

    async def reset_all(self) -> None:
        """End every open connection with RST."""
        for writer in self.writers:
            reset(writer)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # No coroutine: one that is cancelled before its first step would leave the connection open.
        if self._server is None:
            reset(writer)  # it was on its way when the listener closed
            return
        self.writers.add(writer)
        task = asyncio.ensure_future(self._run(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self.writers.discard(writer))

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        finally:
            close(writer)
        # The FIN leaves in a later turn of the loop: until then it is open.
        with suppress(OSError):
            await writer.wait_closed()
