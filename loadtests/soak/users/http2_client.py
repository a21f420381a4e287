"""An HTTP/2 connection on the `h2` library that understands a graceful GOAWAY.

`h2` treats GOAWAY as the end of everything, as most clients built on it do; RFC 9113 §6.8 lets the
streams up to its number finish. So frames are taken apart here, and GOAWAY never reaches `h2`.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Self

from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset

_FRAME_HEAD_BYTES = 9
_GOAWAY = 7
_READ_BYTES = 65_536


class NotProcessedError(Exception):
    """The server says that it did not begin with the request: it may be sent again elsewhere."""


@dataclass
class _Stream:
    answered: asyncio.Future[None]
    status: int = 0
    body: bytearray = field(default_factory=bytearray)


class Http2Client:
    """One connection, any number of requests at once; from ``connect`` to ``close``."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, scheme: str
    ) -> None:
        self._scheme = scheme
        self._reader, self._writer = reader, writer
        self._connection = H2Connection()
        self._streams: dict[int, _Stream] = {}
        self._received = b""
        self._is_going_away = False
        self._connection.initiate_connection()
        self._flush()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, port: int, context: ssl.SSLContext | None) -> Self:
        """To 127.0.0.1; the context must offer h2 alone."""
        streams = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        return cls(*streams, "http" if context is None else "https")

    @property
    def is_usable(self) -> bool:
        """Whether new requests are welcome."""
        return not (self._is_going_away or self._reading.done())

    async def close(self) -> None:
        """At once; requests that run fail."""
        self._reading.cancel()
        self._writer.close()
        await asyncio.wait([self._reading])

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body.

        Raises:
            NotProcessedError: The server will not answer it; another connection may.
            ConnectionError: The stream or the connection broke.
        """
        if not self.is_usable:
            raise NotProcessedError
        number = self._connection.get_next_available_stream_id()
        stream = self._streams[number] = _Stream(asyncio.get_running_loop().create_future())
        head = [
            (":method", "GET"),
            (":scheme", self._scheme),
            (":authority", "soak"),
            (":path", path),
        ]
        self._connection.send_headers(number, head, end_stream=True)
        self._flush()
        try:
            await stream.answered
        finally:
            del self._streams[number]
        return stream.status, bytes(stream.body)

    async def _read(self) -> None:
        error: Exception = ConnectionError("the connection ended")
        try:
            while data := await self._reader.read(_READ_BYTES):
                self._receive(data)
        except Exception as broken:  # Whoever waits for an answer must hear of it.
            error = broken
        for stream in self._streams.values():
            _fail(stream, error)

    def _receive(self, data: bytes) -> None:
        self._received += data
        while (frame := self._next_frame()) is not None:
            if frame[3] == _GOAWAY:
                self._go_away(int.from_bytes(frame[9:13], "big"))
                continue
            for event in self._connection.receive_data(frame):
                self._take(event)
        self._flush()

    def _next_frame(self) -> bytes | None:
        end = _FRAME_HEAD_BYTES + int.from_bytes(self._received[:3], "big")
        if len(self._received) < max(end, _FRAME_HEAD_BYTES):
            return None
        frame, self._received = self._received[:end], self._received[end:]
        return frame

    def _go_away(self, last_stream: int) -> None:
        self._is_going_away = True
        for number, stream in self._streams.items():
            if number > last_stream:
                _fail(stream, NotProcessedError())

    def _take(self, event: Event) -> None:
        stream = self._streams.get(getattr(event, "stream_id", 0) or 0)
        match event:
            case DataReceived(stream_id=number, data=data, flow_controlled_length=length):
                self._connection.acknowledge_received_data(length or 0, number)
                if stream:
                    stream.body += data
            case ResponseReceived(headers=headers) if stream:
                stream.status = int(dict(headers)[b":status"])
            case StreamEnded() if stream and not stream.answered.done():
                stream.answered.set_result(None)
            case StreamReset(error_code=code) if stream:
                _fail(stream, ConnectionError(f"the stream was reset with {code!r}"))

    def _flush(self) -> None:
        self._writer.write(self._connection.data_to_send())


def _fail(stream: _Stream, error: Exception) -> None:
    if not stream.answered.done():
        stream.answered.set_exception(error)
