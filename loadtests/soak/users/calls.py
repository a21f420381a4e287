"""gRPC by its own client: unary calls, and streams in both directions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from loadtests.soak.grpc_module import grpc
from loadtests.soak.protocol import CALL, MORTAL_SERVICE, SERVICE, STREAM, STREAMED_MESSAGES
from loadtests.soak.traffic import EXCHANGE_TIMEOUT_S, Front, Kind, expect, repeat

_PAUSE_S = 0.1
_MESSAGE_INTERVAL_S = 0.05


async def call(front: Front, kind: Kind) -> None:
    """One message there, the same back."""
    async with _channel(front, kind) as channel:
        method = channel.unary_unary(_path(kind, CALL))

        async def exchange() -> None:
            answer = await method(b"hello", timeout=EXCHANGE_TIMEOUT_S)
            expect(answer == b"hello", "the answer was changed")

        await repeat(front, kind, exchange, _PAUSE_S)


async def stream(front: Front, kind: Kind) -> None:
    """Messages that go and come back one by one."""
    async with _channel(front, kind) as channel:
        method = channel.stream_stream(_path(kind, STREAM))
        expected = [f"message {number}".encode() for number in range(STREAMED_MESSAGES)]

        async def messages() -> AsyncIterator[bytes]:
            for message in expected:
                yield message
                await asyncio.sleep(_MESSAGE_INTERVAL_S)

        async def exchange() -> None:
            answers = [answer async for answer in method(messages(), timeout=EXCHANGE_TIMEOUT_S)]
            expect(answers == expected, "messages were lost or changed")

        await repeat(front, kind, exchange, _PAUSE_S)


@asynccontextmanager
async def _channel(front: Front, kind: Kind) -> AsyncIterator[Any]:
    """Of its own: channels to one address otherwise share their connection."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{kind.port(front)}", options) as channel:
        yield channel


def _path(kind: Kind, method: str) -> str:
    return f"/{MORTAL_SERVICE if kind.mortal else SERVICE}/{method}"
