"""Bodies far larger than memory should hold, with readers that are slow: the proxy stays small.

A body is made as it is sent and checked as it is read, so nothing in the test holds it either. What
the proxy may grow by is the same whatever the size, and far below it.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import BufferedReader
from itertools import repeat
from threading import Event, Thread

import pytest

from testkit import procfs
from testkit.client import Client
from testkit.trunkline import Trunkline
from testkit.upstream import OK, Connection, Script, Upstream, read_head, read_request, send
from testkit.waiting import wait_until
from vectors.http1_row import GET, post

MB = 1024 * 1024
GROWTH_LIMIT_BYTES = 20 * MB
LARGE_BYTES = 1024 * MB
# Over what the sockets of a connection hold (tcp_wmem and tcp_rmem go up to 4 MB and 6 MB), so that
# a reader that stands still must stop the sender.
SLOW_BYTES = 64 * MB
# Nothing has moved for so long: the sender is stopped, not slow.
STILL_S = 0.3

PATTERN = bytes(range(256))
PIECE = PATTERN * 1024
# Holds every piece at every offset within the pattern.
EXPECTED = memoryview(PIECE + PATTERN)
# How many bytes the next piece of a body has.
Sizes = Callable[[BufferedReader], Iterator[int]]


class Meter:
    """Bytes that went by, seen from another thread."""

    def __init__(self) -> None:
        self.count = 0
        self._changed_at, self._last = time.monotonic(), 0

    def stands_still(self) -> bool:
        """Whether some bytes have gone by, but none for a while."""
        now = time.monotonic()
        if self.count != self._last:
            self._changed_at, self._last = now, self.count
        return self.count > 0 and now - self._changed_at > STILL_S


@pytest.fixture
def growth(proxy: Trunkline) -> Callable[[], int]:
    """By how many bytes the proxy has grown since the test began."""
    before = procfs.rss_bytes(proxy.pid)
    return lambda: procfs.rss_bytes(proxy.pid) - before


@pytest.fixture
def slow_client(ports: dict[str, int], upstream: Upstream) -> Iterator[Client]:
    """It reads only when told to, and its kernel holds little for it."""
    with Client(ports["plain"], receive_buffer_bytes=16_384) as client:
        yield client


def download(size: int, sent: Meter) -> Script:
    """Answer with a body of so many bytes."""

    async def stream(connection: Connection) -> None:
        while sent.count < size:
            connection.writer.write(PIECE)
            await connection.writer.drain()
            sent.count += len(PIECE)

    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    return [read_request, send(head), stream]


def chunked_download(size: int, sent: Meter) -> Script:
    """The same in chunks."""
    chunk = b"%x\r\n%s\r\n" % (len(PIECE), PIECE)

    async def stream(connection: Connection) -> None:
        while sent.count < size:
            connection.writer.write(chunk)
            await connection.writer.drain()
            sent.count += len(PIECE)

    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [read_request, send(head), stream, send(b"0\r\n\r\n")]


def upload(size: int, may_read: Event) -> Script:
    """Read a body of so many bytes, but only from a certain time on; then answer."""

    async def drain(connection: Connection) -> None:
        await asyncio.to_thread(may_read.wait, 30)
        for _ in range(size // len(PIECE)):
            assert await connection.reader.readexactly(len(PIECE)) == PIECE

    return [read_head, drain, send(OK)]


def start_upload(client: Client, size: int, sent: Meter) -> Thread:
    def send_all() -> None:
        client.send(post(b"Content-Length: %d" % size, body=b""))
        while sent.count < size:
            client.send(PIECE)
            sent.count += len(PIECE)

    thread = Thread(target=send_all)
    thread.start()
    return thread


def read_pieces(
    client: Client, sizes: Callable[[BufferedReader], Iterator[int]]
) -> Iterator[bytes]:
    """The content of a response, without its head, in pieces of these sizes."""
    with client.socket.makefile("rb") as stream:
        while stream.readline() != b"\r\n":
            pass
        for size in sizes(stream):
            yield stream.read(size)


def pieces_of(size: int) -> Sizes:
    return lambda _: repeat(len(PIECE), size // len(PIECE))


def chunk_sizes(stream: BufferedReader) -> Iterator[int]:
    while size := int(stream.readline(), 16):
        yield size
        assert stream.readline() == b"\r\n"
    assert stream.readline() == b"\r\n"


def check(pieces: Iterator[bytes], growth: Callable[[], int]) -> int:
    """Compare all with the pattern; returns how many bytes there were."""
    position = 0
    for piece in pieces:
        start = position % len(PATTERN)
        assert piece == EXPECTED[start : start + len(piece)]
        position += len(piece)
        assert growth() < GROWTH_LIMIT_BYTES
    return position


def test_large_download(client: Client, upstream: Upstream, growth: Callable[[], int]) -> None:
    upstream.script(download(LARGE_BYTES, Meter()))
    client.send(GET)
    assert check(read_pieces(client, pieces_of(LARGE_BYTES)), growth) == LARGE_BYTES


def test_large_download_in_chunks(
    client: Client, upstream: Upstream, growth: Callable[[], int]
) -> None:
    upstream.script(chunked_download(LARGE_BYTES, Meter()))
    client.send(GET)
    assert check(read_pieces(client, chunk_sizes), growth) == LARGE_BYTES


def test_large_upload(client: Client, upstream: Upstream, growth: Callable[[], int]) -> None:
    may_read = Event()
    may_read.set()
    upstream.script(upload(LARGE_BYTES, may_read))
    sent = Meter()
    sender = start_upload(client, LARGE_BYTES, sent)
    assert client.read_response().body == b"ok"
    sender.join()
    assert growth() < GROWTH_LIMIT_BYTES


@pytest.mark.parametrize("script", [download, chunked_download])
def test_slow_client_slows_the_server(
    script: Callable[[int, Meter], Script],
    slow_client: Client,
    upstream: Upstream,
    growth: Callable[[], int],
) -> None:
    sent = Meter()
    upstream.script(script(SLOW_BYTES, sent))
    slow_client.send(GET)
    wait_until(sent.stands_still, timeout_s=10, what="the server to be stopped")
    assert sent.count < SLOW_BYTES
    sizes = pieces_of(SLOW_BYTES) if script is download else chunk_sizes
    assert check(read_pieces(slow_client, sizes), growth) == SLOW_BYTES


def test_slow_server_slows_the_client(
    client: Client, upstream: Upstream, growth: Callable[[], int]
) -> None:
    may_read, sent = Event(), Meter()
    upstream.script(upload(SLOW_BYTES, may_read))
    sender = start_upload(client, SLOW_BYTES, sent)
    wait_until(sent.stands_still, timeout_s=10, what="the client to be stopped")
    assert sent.count < SLOW_BYTES
    assert growth() < GROWTH_LIMIT_BYTES
    may_read.set()
    assert client.read_response().body == b"ok"
    sender.join()


def test_many_slow_clients_cost_little_each(
    ports: dict[str, int], upstream: Upstream, growth: Callable[[], int]
) -> None:
    """What waits is one buffer of 64 KB for each of them."""
    count = 50
    meters = [Meter() for _ in range(count)]
    upstream.script(*[download(SLOW_BYTES, meter) for meter in meters])
    with ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(Client(ports["plain"], receive_buffer_bytes=16_384))
            client.send(GET)
        wait_until(
            lambda: all([meter.stands_still() for meter in meters]),
            timeout_s=10,
            what="every server to be stopped",
        )
        assert growth() < GROWTH_LIMIT_BYTES
