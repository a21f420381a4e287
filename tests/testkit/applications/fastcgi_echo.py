"""What stands behind nginx, Apache and lighttpd: ``fastcgi_echo.py PORT READINGS``.

They speak FastCGI 1.0 to it: CGI's variables, then the body, in records with lengths, so that
nothing of HTTP is parsed a second time. Writes a reading, answers `ok`.
"""

import asyncio
import struct
import sys
from collections.abc import Iterator

from testkit.applications import reading

# §3.3: version, type, request id, length of the content, of the padding, reserved.
HEADER = struct.Struct(">BBHHBx")
BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
ANSWER = b"Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request for each connection, as the three do it by default."""
    try:
        parameters, body = await read_streams(reader)
    except asyncio.IncompleteReadError:
        writer.close()  # the web server has given the request up
        return
    record(list(pairs(parameters)), body)
    for kind, content in ((STDOUT, ANSWER), (STDOUT, b""), (END, bytes(8))):
        writer.write(HEADER.pack(1, kind, 1, len(content), 0) + content)
    writer.close()


async def read_streams(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The variables and the body; an empty record ends each."""
    streams = {BEGIN: b"", PARAMS: b"", STDIN: b""}
    while True:
        _, kind, _, length, padding = HEADER.unpack(await reader.readexactly(HEADER.size))
        streams[kind] += await reader.readexactly(length)
        await reader.readexactly(padding)
        if kind == STDIN and not length:
            return streams[PARAMS], streams[STDIN]


def pairs(parameters: bytes) -> Iterator[tuple[str, str]]:
    """§3.4: two lengths of one byte or, with the highest bit set, four; then name and value."""
    position = 0
    while position < len(parameters):
        sizes = []
        for _ in range(2):
            width = 4 if parameters[position] & 0x80 else 1
            size = int.from_bytes(parameters[position : position + width], "big")
            sizes.append(size & 0x7FFFFFFF)
            position += width
        texts = []
        for size in sizes:
            texts.append(parameters[position : position + size].decode("latin-1"))
            position += size
        yield texts[0], texts[1]


def record(variables: list[tuple[str, str]], body: bytes) -> None:
    named = dict(variables)
    reading.write(
        sys.argv[2],
        method=named["REQUEST_METHOD"],
        target=named["REQUEST_URI"],
        # Not of `named`: nginx sends a variable for each of several lines with one name.
        fields=reading.of_cgi(variables),
        body=body,
        connection=named["REMOTE_PORT"],
    )


async def serve() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
