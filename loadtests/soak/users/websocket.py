"""WebSockets that live for a while and echo a message now and then.

An upgrade closes them at the end of its grace period: that is its promise, and counts as injected.
To open one must always succeed.
"""

import os
from contextlib import AsyncExitStack

from websockets.asyncio.client import ClientConnection, connect

from loadtests.soak.ledger import Disturbance
from loadtests.soak.traffic import EXCHANGE_TIMEOUT_S, Front, Kind, attempt, expect, pause

_PAUSE_S = 0.25
_MESSAGE_BYTES = 64
# Then the user says goodbye and opens another: closing is part of the protocol.
_MESSAGES_PER_SOCKET = 100


async def chat(front: Front, kind: Kind) -> None:
    """One socket after the other."""
    while not front.over.is_set():
        async with AsyncExitStack() as stack:
            await _chat_once(front, kind, stack)
        await pause(front, _PAUSE_S)


async def _chat_once(front: Front, kind: Kind, stack: AsyncExitStack) -> None:
    sockets: list[ClientConnection] = []

    async def open_socket() -> None:
        sockets.append(await stack.enter_async_context(_connect(front, kind)))

    if not await attempt(front, kind, open_socket):
        return
    (socket,) = sockets
    for _ in range(_MESSAGES_PER_SOCKET):
        went_well = await attempt(front, kind, lambda: _echo(socket), Disturbance.UPGRADE)
        await pause(front, _PAUSE_S)
        if front.over.is_set() or not went_well:
            return


def _connect(front: Front, kind: Kind) -> connect:
    scheme = "wss" if kind.tls else "ws"
    return connect(
        f"{scheme}://127.0.0.1:{kind.port(front)}{kind.path('/websocket')}",
        ssl=kind.context(front),
        open_timeout=EXCHANGE_TIMEOUT_S,
        proxy=None,
    )


async def _echo(socket: ClientConnection) -> None:
    message = os.urandom(_MESSAGE_BYTES)
    await socket.send(message)
    expect(await socket.recv() == message, "the echo was changed")
