"""A WebSocket server that sends every message back: ``echo_server.py PORT``.

aiohttp's, because its verdicts on Autobahn's cases are the same in each run: it answers a good
message before it looks at the bad frame behind it, however the two were cut into reads.
"""

import sys

from aiohttp import WSMsgType, web


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(max_msg_size=0, compress=True)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


if __name__ == "__main__":
    application = web.Application()
    application.router.add_get("/", echo)
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=None)
