"""A TCP proxy that misbehaves on demand: delays, trickles, cuts, resets, goes silent, refuses.

Each direction has a ``Fault`` that can be changed while connections are open; it holds for the next
bytes that come through. Without a fault bytes and half-closes pass as they are. It knows nothing of
what the bytes mean.

    client ── uplink ──▶ FaultProxy ── uplink ──▶ upstream
           ◀─ downlink ─            ◀─ downlink ─
"""

import asyncio
import enum
from dataclasses import dataclass, field
from typing import Self

from testkit import tcp
from testkit.loopthread import LoopThread

_READ_BYTES = 65536


class Then(enum.Enum):
    """What happens to a connection once its bytes are used up."""

    CUT = "FIN to both sides"
    RESET = "RST to both sides"
    FREEZE = "nothing is forwarded in this direction any more, the connection stays open"


@dataclass(frozen=True)
class Fault:
    """What one direction does to its bytes.

    Attributes:
        delay_s: Each piece is forwarded this much later.
        piece_bytes: Forward at most so many bytes at a time, 0 = as they come.
        interval_s: Pause after each piece: with ``piece_bytes`` a trickle.
        then: What happens after ``after_bytes`` bytes of a connection; None = nothing.
        after_bytes: How many bytes of a connection still pass before ``then``.
    """

    delay_s: float = 0.0
    piece_bytes: int = 0
    interval_s: float = 0.0
    then: Then | None = None
    after_bytes: int = 0


NO_FAULT = Fault()


@dataclass
class _Direction:
    """The present fault of a direction; ``changed`` wakes those a freeze has put to sleep."""

    fault: Fault = NO_FAULT
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class FaultProxy:
    """Forwards ``127.0.0.1:port`` to another loopback port, in a thread of its own.

    Args:
        upstream_port: Where connections are forwarded to.
        port: Where to listen; 0 = any.
    """

    def __init__(self, upstream_port: int, port: int = 0) -> None:
        self._upstream_port = upstream_port
        self._uplink, self._downlink = _Direction(), _Direction()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = LoopThread("faultproxy")
        self._listener = tcp.Listener(self._serve, port)
        self._loop.call(self._listener.open())

    @property
    def port(self) -> int:
        """Where it listens, the same for its whole life."""
        return self._listener.port

    def set_uplink(self, fault: Fault) -> None:
        """From now on this happens to bytes towards the upstream."""
        self._loop.call(_change(self._uplink, fault))

    def set_downlink(self, fault: Fault) -> None:
        """From now on this happens to bytes towards the client."""
        self._loop.call(_change(self._downlink, fault))

    def heal(self) -> None:
        """No faults any more: connections are accepted, frozen ones go on."""
        self._loop.call(self._listener.open())
        self.set_uplink(NO_FAULT)
        self.set_downlink(NO_FAULT)

    def refuse(self) -> None:
        """New connections are refused by the kernel; open ones go on."""
        self._loop.call(self._listener.close())

    def end_connections(self, then: Then) -> None:
        """Cut or reset every open connection now, whatever passes through it."""
        self._loop.call(self._end_all(then))

    def close(self) -> None:
        """Stop listening, reset everything that is open, end the thread."""
        self.refuse()
        self.end_connections(Then.RESET)
        self._loop.call(self._listener.reset_all())
        self._loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        except OSError:
            tcp.reset(writer)
            return
        pair = {writer, up_writer}
        self._writers |= pair
        try:
            await asyncio.gather(
                self._pump(self._uplink, reader, up_writer, pair),
                self._pump(self._downlink, up_reader, writer, pair),
            )
        except OSError:
            _end(pair, Then.RESET)
        finally:
            self._writers -= pair
            _end(pair, Then.CUT)

    async def _pump(
        self,
        direction: _Direction,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pair: set[asyncio.StreamWriter],
    ) -> None:
        passed = 0
        while data := await reader.read(_READ_BYTES):
            while data and not writer.is_closing():
                piece = _next_piece(direction.fault, data, passed)
                await _forward(direction.fault, piece, writer)
                data, passed = data[len(piece) :], passed + len(piece)
                await _used_up(direction, passed, pair)
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()

    async def _end_all(self, then: Then) -> None:
        _end(set(self._writers), then)


async def _change(direction: _Direction, fault: Fault) -> None:
    direction.fault = fault
    direction.changed.set()
    direction.changed = asyncio.Event()


def _next_piece(fault: Fault, data: bytes, passed: int) -> bytes:
    size = fault.piece_bytes or len(data)
    if fault.then is not None:
        size = min(size, max(0, fault.after_bytes - passed))
    return data[:size]


async def _forward(fault: Fault, piece: bytes, writer: asyncio.StreamWriter) -> None:
    if fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    writer.write(piece)
    await writer.drain()
    if fault.interval_s:
        await asyncio.sleep(fault.interval_s)


async def _used_up(direction: _Direction, passed: int, pair: set[asyncio.StreamWriter]) -> None:
    """Do what the fault says once its bytes have passed; return when bytes may flow again."""
    while direction.fault.then is not None and passed >= direction.fault.after_bytes:
        if direction.fault.then is not Then.FREEZE:
            _end(pair, direction.fault.then)
            return
        await direction.changed.wait()


def _end(writers: set[asyncio.StreamWriter], then: Then) -> None:
    for writer in writers:
        if then is Then.RESET:
            tcp.reset(writer)
        else:
            tcp.close(writer)
