"""One service hangs; those who share a server with it do not notice."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from testkit.gate import Gate
from testkit.site import Program, Site, server
from testkit.upstream import Upstream

CALLERS = 4
REQUESTS_EACH = 500
ROUNDS = 3
# Of the service that hangs: more callers than it has places.
ITS_CALLERS = 12
ITS_PLACES = 4
# What a busy machine alone moves a percentile by.
NOISE_S = 0.003


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate(path="/hangs")
    yield gate
    gate.open()


def shared_server(port: int) -> Site:
    """Two routes to one server that takes as much as the callers of both may ask at once."""
    room = server(port, max_connections=CALLERS + ITS_PLACES)
    site = Site([room])
    site.change(
        [room],
        route=f'prefix = "/hangs"\nconcurrency = {{ max = {ITS_PLACES} }}\n'
        f'[[lb.http.{site.name}.routes]]\nname = "others"\npool = "{site.name}"',
    )
    return site


class Caller:
    """A connection that asks for one path and looks at nothing but the status."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._request = f"GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n".encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        await reader.readexactly(length)
        return int(head.split(b" ", 2)[1])

    def leave(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


async def p99_s(port: int) -> tuple[float, set[int]]:
    """Of the others, while one request for the service goes with each of theirs; its answers."""
    tickets: asyncio.Queue[None] = asyncio.Queue()
    durations: list[float] = []
    its_statuses: set[int] = set()

    async def ask_it(caller: Caller) -> None:
        while True:
            await tickets.get()
            its_statuses.add(await caller.ask())

    async def ask(caller: Caller) -> None:
        for _ in range(REQUESTS_EACH):
            tickets.put_nowait(None)
            began = time.perf_counter()
            assert await caller.ask() == 200
            durations.append(time.perf_counter() - began)

    its_callers = [Caller(port, "/hangs") for _ in range(ITS_CALLERS)]
    callers = [Caller(port, "/") for _ in range(CALLERS)]
    asking = [asyncio.ensure_future(ask_it(caller)) for caller in its_callers]
    try:
        await asyncio.gather(*map(ask, callers))
    finally:
        for task in asking:
            task.cancel()
        for caller in (*its_callers, *callers):
            caller.leave()
    durations.sort()
    return durations[len(durations) * 99 // 100], its_statuses


def test_the_others_do_not_notice(program: Program, gate: Gate) -> None:
    """The best of some rounds each, taken in turn: what the machine does meanwhile hits both."""
    sound: list[float] = []
    hanging: list[float] = []
    with Upstream(gate.script) as upstream:
        site = shared_server(upstream.port)
        program.serve(site)
        for _ in range(ROUNDS):
            gate.open()
            duration_s, statuses = asyncio.run(p99_s(site.port))
            sound.append(duration_s)
            assert statuses <= {200, 503}
            gate.shut()
            duration_s, statuses = asyncio.run(p99_s(site.port))
            hanging.append(duration_s)
            assert statuses == {503}
        gate.open()
    assert gate.most_inside == ITS_PLACES
    assert program.failures(site, reason="queue_full") == 0
    assert min(hanging) <= max(1.1 * min(sound), min(sound) + NOISE_S), (sound, hanging)
