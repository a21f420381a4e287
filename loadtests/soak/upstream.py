"""A server of the soak: HTTP with WebSockets on one port, gRPC on another, in one process.

    python -m loadtests.soak.upstream PORT GRPC_PORT

It runs until a signal ends it; being killed at any time is its purpose.
"""

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from loadtests.soak.grpc_module import grpc
from loadtests.soak.protocol import (
    CALL,
    DOWNLOAD_CHUNK,
    EVENT_INTERVAL_S,
    HELLO,
    MORTAL_SERVICE,
    SERVICE,
    STREAM,
    event,
)


async def hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse(HELLO)


async def upload(request: Request) -> JSONResponse:
    digest = hashlib.sha256()
    async for chunk in request.stream():
        digest.update(chunk)
    return JSONResponse({"sha256": digest.hexdigest()})


async def download(request: Request) -> StreamingResponse:
    chunks = int(request.query_params["chunks"])

    async def body() -> AsyncIterator[bytes]:
        for _ in range(chunks):
            yield DOWNLOAD_CHUNK

    return StreamingResponse(body(), media_type="application/octet-stream")


async def events(request: Request) -> StreamingResponse:
    count = int(request.query_params["count"])

    async def body() -> AsyncIterator[bytes]:
        for number in range(count):
            yield event(number)
            await asyncio.sleep(EVENT_INTERVAL_S)

    return StreamingResponse(body(), media_type="text/event-stream")


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_bytes(await websocket.receive_bytes())
    except WebSocketDisconnect:
        return


async def say(request: bytes, _: Any) -> bytes:
    return request


async def say_all(requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


ROUTES = [
    Route("/hello", hello),
    Route("/upload", upload, methods=["POST"]),
    Route("/download", download),
    Route("/events", events),
    WebSocketRoute("/websocket", echo),
]


async def main(port: int, grpc_port: int) -> None:
    """Serve both until a signal."""
    calls = grpc.aio.server()
    handlers = {
        CALL: grpc.unary_unary_rpc_method_handler(say),
        STREAM: grpc.stream_stream_rpc_method_handler(say_all),
    }
    for service in (SERVICE, MORTAL_SERVICE):
        handler = grpc.method_handlers_generic_handler(service, handlers)
        calls.add_generic_rpc_handlers([handler])
    calls.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await calls.start()
    site = Starlette(routes=[*ROUTES, Mount("/mortal", routes=ROUTES)])
    config = uvicorn.Config(site, host="127.0.0.1", port=port, log_level="warning")
    await uvicorn.Server(config).serve()
    await calls.stop(grace=None)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:3])))
