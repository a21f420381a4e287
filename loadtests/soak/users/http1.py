"""HTTP/1.1: short requests on kept connections; uploads, downloads and events on their own."""

import hashlib
import time

import httpx

from loadtests.soak.ledger import Disturbance
from loadtests.soak.protocol import (
    DOWNLOAD_CHUNK,
    DOWNLOAD_CHUNKS,
    EVENTS,
    HELLO,
    UPLOAD,
    event,
)
from loadtests.soak.traffic import EXCHANGE_TIMEOUT_S, Front, Kind, expect, repeat

_SHORT_PAUSE_S, _LONG_PAUSE_S = 0.1, 1.0
_UPLOAD_DIGEST = hashlib.sha256(UPLOAD).hexdigest()


async def browse(front: Front, kind: Kind) -> None:
    """Short GETs on one connection."""
    async with _client(front, kind) as client:

        async def exchange() -> None:
            response = await _get_again(front, client, kind.path("/hello"))
            expect(response.status_code == 200 and response.text == HELLO, f"{response}")

        await repeat(front, kind, exchange, _SHORT_PAUSE_S)


async def _get_again(front: Front, client: httpx.AsyncClient, path: str) -> httpx.Response:
    """GET; once more if an upgrade closed the kept connection under the request.

    RFC 9112 §9.3.1: a client may repeat what is idempotent when a connection that was idle turns
    out to be closed. Every browser does.
    """
    start_s = time.monotonic()
    try:
        return await client.get(path)
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
        if not front.ledger.was_disturbed(Disturbance.UPGRADE, start_s, time.monotonic()):
            raise
    return await client.get(path)


async def upload(front: Front, kind: Kind) -> None:
    """1 MB; the server answers with its digest."""

    async def exchange() -> None:
        async with _client(front, kind) as client:
            response = await client.post(kind.path("/upload"), content=UPLOAD)
            expect(response.status_code == 200, f"{response}")
            expect(response.json() == {"sha256": _UPLOAD_DIGEST}, "the upload was changed")

    await repeat(front, kind, exchange, _LONG_PAUSE_S)


async def download(front: Front, kind: Kind) -> None:
    """2 MB in chunks."""
    expected = DOWNLOAD_CHUNK * DOWNLOAD_CHUNKS

    async def exchange() -> None:
        async with _client(front, kind) as client:
            path = kind.path(f"/download?chunks={DOWNLOAD_CHUNKS}")
            response = await client.get(path)
            expect(response.status_code == 200, f"{response}")
            expect(response.content == expected, "the download was changed")

    await repeat(front, kind, exchange, _LONG_PAUSE_S)


async def listen(front: Front, kind: Kind) -> None:
    """Server-sent events, all of them in order; the first before the last was sent."""
    expected = b"".join(map(event, range(EVENTS)))

    async def exchange() -> None:
        async with _client(front, kind) as client:
            path = kind.path(f"/events?count={EVENTS}")
            async with client.stream("GET", path) as response:
                chunks = [chunk async for chunk in response.aiter_raw()]
        expect(b"".join(chunks) == expected, "events were lost or changed")
        expect(len(chunks) > 1, "the events were held back")

    await repeat(front, kind, exchange, _LONG_PAUSE_S)


def _client(front: Front, kind: Kind) -> httpx.AsyncClient:
    scheme = "https" if kind.tls else "http"
    return httpx.AsyncClient(
        base_url=f"{scheme}://127.0.0.1:{kind.port(front)}",
        verify=kind.context(front) or False,
        timeout=EXCHANGE_TIMEOUT_S,
        trust_env=False,
    )
