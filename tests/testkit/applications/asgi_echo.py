"""The application of uvicorn and granian: writes a reading to the file READINGS, answers `ok`."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

from testkit.applications import reading

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    body = await _body(receive)
    if body is None:
        return
    query = scope["query_string"]
    reading.write(
        os.environ["READINGS"],
        method=scope["method"],
        target=(scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1"),
        fields=[
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ],
        body=body,
        connection=scope["client"][1],
    )
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


async def _body(receive: Receive) -> bytes | None:
    """None if the client went away before its end."""
    body: bytes = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
    return None
