"""HTTP/2: connections with several requests in flight, replaced when the server says goodbye."""

import asyncio
from collections.abc import Sequence

from loadtests.soak.protocol import HELLO
from loadtests.soak.traffic import Front, Kind, expect, repeat
from loadtests.soak.users.http2_client import Http2Client, NotProcessedError

_PAUSE_S = 0.2
_REQUESTS_AT_ONCE = 5


async def browse(front: Front, kind: Kind) -> None:
    """Several requests at once on one connection, again and again."""
    user = _User(front, kind)
    try:
        await repeat(front, kind, user.exchange, _PAUSE_S)
    finally:
        await user.close()


class _User:
    """Its newest connection, and older ones on which answers may still be due."""

    def __init__(self, front: Front, kind: Kind) -> None:
        self._front, self._kind = front, kind
        self._clients: list[Http2Client] = []
        self._opening = asyncio.Lock()

    async def exchange(self) -> None:
        """All of them; each must be right."""
        try:
            await asyncio.gather(*(self._get() for _ in range(_REQUESTS_AT_ONCE)))
        finally:
            usable = [client for client in self._clients if client.is_usable]
            await self.close(keep=usable[-1:])

    async def close(self, keep: Sequence[Http2Client] = ()) -> None:
        """All connections but these."""
        for client in self._clients:
            if client not in keep:
                await client.close()
        self._clients = list(keep)

    async def _get(self) -> None:
        path = self._kind.path("/hello")
        try:
            status, body = await (await self._usable_client()).get(path)
        except NotProcessedError:
            status, body = await (await self._usable_client()).get(path)
        expect(status == 200 and body == HELLO.encode(), f"status {status}, {body!r}")

    async def _usable_client(self) -> Http2Client:
        async with self._opening:
            if not self._clients or not self._clients[-1].is_usable:
                port = self._kind.port(self._front)
                context = self._kind.context(self._front, ["h2"])
                self._clients.append(await Http2Client.connect(port, context))
            return self._clients[-1]
