"""aiohttp as a server: ``aiohttp_echo.py PORT READINGS``; writes a reading, answers `ok`."""

import asyncio
import sys

from aiohttp import web

from testkit.applications import reading

# Its default is below the 8 192 bytes that a target may have.
MAX_LINE_BYTES = 32_768


async def echo(request: web.BaseRequest) -> web.Response:
    body = await request.read()
    assert request.transport is not None
    raw = request.message.raw_headers
    reading.write(
        sys.argv[2],
        method=request.method,
        target=request.message.path,
        fields=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw],
        body=body,
        connection=request.transport.get_extra_info("peername")[1],
    )
    return web.Response(text="ok")


def server() -> web.Server:
    return web.Server(
        echo, access_log=None, max_line_size=MAX_LINE_BYTES, max_field_size=MAX_LINE_BYTES
    )


async def serve() -> None:
    runner = web.ServerRunner(server())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1])).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
