"""Large bodies go through pipes in the kernel: only so many of them, and without a delay."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Semaphore
from time import monotonic

import pytest

from testkit.client import Client
from testkit.site import Program, Site
from testkit.trunkline import Trunkline
from testkit.upstream import Connection, Upstream, hang, read_request, response, send_slowly
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
# Per worker, of which there is one (native/crates/engine/src/splice.rs).
PIPES_LENT, PIPES_KEPT = 64, 16
# More than the buffers of sockets hold for a client that reads nothing.
SIZE_BYTES = 2_000_000
BODY = response(b"x" * SIZE_BYTES)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream([read_request, send_slowly(BODY, piece_bytes=65_536, interval_s=0)]) as server:
        yield server


def pipes(pid: int) -> int:
    """Pipes of which a process has an end."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(os.readlink(entry))
    return sum(name.startswith("pipe:") for name in found)


def received(client: Client) -> int:
    return len(client.read_response().body)


def test_pipes_are_bounded(tmp_path: Path, upstream: Upstream) -> None:
    """Eighty clients that read nothing yet; who gets no pipe gets copies."""
    site = Site([upstream.port])
    with ExitStack() as stack:
        pid = stack.enter_context(Trunkline(tmp_path, site.config)).pid
        before = pipes(pid)
        clients = [stack.enter_context(site.client(receive_buffer_bytes=65_536)) for _ in range(80)]
        for client in clients:
            client.send(GET)
        upstream.wait_for_requests(80)
        enough = before + PIPES_LENT
        wait_until(lambda: pipes(pid) >= enough, timeout_s=5, what="the pipes to be lent")
        for client in clients:
            assert received(client) == SIZE_BYTES
            assert pipes(pid) <= enough
        kept = before + PIPES_KEPT
        wait_until(lambda: pipes(pid) <= kept, timeout_s=5, what="pipes to be given back")


def test_a_pause_in_a_large_body_delays_nothing(program: Program, upstream: Upstream) -> None:
    """The kernel holds a packet back for 200 ms if it is told that more follows."""
    wanted = Semaphore(0)

    async def when_wanted(connection: Connection) -> None:
        for _ in range(5):
            await asyncio.to_thread(wanted.acquire, timeout=10)
            connection.writer.write(b"piece")

    async def begin(connection: Connection) -> None:
        connection.writer.write(HEAD)

    upstream.script([read_request, begin, when_wanted, hang])
    site = Site([upstream.port])
    program.serve(site)
    with site.client() as client:
        client.send(GET)
        assert client.socket.recv(1_000).startswith(b"HTTP/1.1 200")
        durations = [time_of_a_piece(client, wanted) for _ in range(5)]
    assert min(durations) < 0.1


def time_of_a_piece(client: Client, wanted: Semaphore) -> float:
    begun = monotonic()
    wanted.release()
    assert client.socket.recv(1_000) == b"piece"
    return monotonic() - begun
