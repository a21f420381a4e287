"""One side of an HTTP/2 connection, frame by frame: bytes in, messages and windows out.

hyperframe reads and writes frames, hpack field blocks. An ``Endpoint`` answers SETTINGS and PING,
keeps windows and collects what comes on each stream; it refuses nothing and sends whatever it is
told to. Who owns the socket is the client (http2_client.py) or the server (http2_upstream.py).
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

Fields = Sequence[tuple[str, str]]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# RFC 9113 §6.5.2, §6.9.2: what holds until a peer says something else.
FRAME_BYTES = 16_384
_WINDOW_BYTES = 65_535
_HEADER_BYTES = 9


class Code(enum.IntEnum):
    """Error codes (RFC 9113 §7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


def raw_frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """Any frame, whether it makes sense or not."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream.to_bytes(4, "big") + payload


@dataclass
class Message:
    """What has come on a stream.

    Attributes:
        interim: Heads of 1xx responses.
        fields: The head, pseudo-header fields too; empty until it is here.
        body: So far.
        trailers: Empty until they are here.
        ended: By END_STREAM.
        reset: The code of RST_STREAM.
    """

    interim: list[list[tuple[str, str]]] = field(default_factory=list)
    fields: list[tuple[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    trailers: list[tuple[str, str]] = field(default_factory=list)
    ended: bool = False
    reset: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come."""
        return self.ended or self.reset is not None

    @property
    def status(self) -> int:
        """Of a response whose head is here."""
        return int(self.value(":status"))

    def values(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for found, value in self.fields if found == name]

    def value(self, name: str) -> str:
        """The value of a field that must be there once."""
        (value,) = self.values(name)
        return value


class Endpoint:
    """What one side knows of a connection.

    Args:
        settings: What its first SETTINGS say.
        preface: Sent before anything else.
    """

    def __init__(self, settings: Mapping[int, int] | None = None, preface: bytes = b"") -> None:
        self.output = bytearray(preface)
        self.messages: dict[int, Message] = {}
        self.peer_settings: dict[int, int] = {}
        self.goaways: list[GoAwayFrame] = []
        self.pongs = 0
        self.held: set[int] = set()
        """Streams whose window is not given back as data comes; 0 = the connection."""
        self.encoder = Encoder()
        self._decoder = Decoder()
        self._input = b""
        self._block: tuple[HeadersFrame, bytearray] | None = None
        self._windows = {0: _WINDOW_BYTES}
        self.send(SettingsFrame(settings=dict(settings or {})))

    @property
    def goaway(self) -> GoAwayFrame | None:
        """The last that has come."""
        return self.goaways[-1] if self.goaways else None

    # --- sending ---

    def send(self, *frames: Frame) -> None:
        """Queue frames."""
        for frame in frames:
            self.output += frame.serialize()

    def send_head(self, stream: int, fields: Fields, *, end: bool) -> None:
        """Queue HEADERS: a head, or trailers. A block that is too long for one frame is cut."""
        block = self.encoder.encode(fields)
        pieces = [block[at : at + FRAME_BYTES] for at in range(0, len(block), FRAME_BYTES)] or [b""]
        first = HeadersFrame(stream, pieces[0], flags=["END_STREAM"] if end else [])
        rest = [ContinuationFrame(stream, piece) for piece in pieces[1:]]
        [first, *rest][-1].flags.add("END_HEADERS")
        self.send(first, *rest)

    def window(self, stream: int) -> int:
        """How many bytes of DATA may be sent now."""
        return min(self._windows[0], self._windows.setdefault(stream, self._initial_window))

    def send_data(self, stream: int, data: bytes, *, end: bool) -> int:
        """Queue what the windows allow, in frames; how many bytes that is."""
        allowed = min(len(data), max(0, self.window(stream)))
        for at in range(0, allowed, FRAME_BYTES):
            piece = data[at : min(at + FRAME_BYTES, allowed)]
            last = end and at + len(piece) == len(data)
            self.send(DataFrame(stream, piece, flags=["END_STREAM"] if last else []))
        if end and not data:
            self.send(DataFrame(stream, b"", flags=["END_STREAM"]))
        self._windows[0] -= allowed
        self._windows[stream] -= allowed
        return allowed

    def take_output(self) -> bytes:
        """What is to be sent now."""
        output, self.output = bytes(self.output), bytearray()
        return output

    # --- receiving ---

    def message(self, stream: int) -> Message:
        """What has come on a stream so far."""
        return self.messages.setdefault(stream, Message())

    def receive(self, data: bytes) -> None:
        """Take in what the peer has sent.

        Raises:
            hyperframe.exceptions.HyperframeError: If a frame is malformed.
            hpack.exceptions.HPACKError: If a field block is.
        """
        self._input += data
        while len(self._input) >= _HEADER_BYTES:
            head = memoryview(self._input)[:_HEADER_BYTES]
            frame, length = Frame.parse_frame_header(head)
            end = _HEADER_BYTES + length
            if len(self._input) < end:
                return
            frame.parse_body(memoryview(self._input)[_HEADER_BYTES:end])
            self._input = self._input[end:]
            self._take(frame)

    @property
    def _initial_window(self) -> int:
        return self.peer_settings.get(SettingsFrame.INITIAL_WINDOW_SIZE, _WINDOW_BYTES)

    def _take(self, frame: Frame) -> None:
        match frame:
            case SettingsFrame():
                self._take_settings(frame)
            case PingFrame() if "ACK" in frame.flags:
                self.pongs += 1
            case PingFrame():
                self.send(PingFrame(0, frame.opaque_data, flags=["ACK"]))
            case GoAwayFrame():
                self.goaways.append(frame)
            case WindowUpdateFrame():
                before = self._windows.get(frame.stream_id, self._initial_window)
                self._windows[frame.stream_id] = before + frame.window_increment
            case HeadersFrame():
                self._take_block(frame, frame, frame.data)
            case ContinuationFrame():
                assert self._block is not None, "CONTINUATION without HEADERS"
                self._take_block(self._block[0], frame, frame.data)
            case DataFrame():
                self._take_data(frame)
            case RstStreamFrame():
                self.message(frame.stream_id).reset = frame.error_code

    def _take_settings(self, frame: SettingsFrame) -> None:
        if "ACK" in frame.flags:
            return
        before = self._initial_window
        self.peer_settings |= frame.settings
        for stream in self._windows.keys() - {0}:
            self._windows[stream] += self._initial_window - before
        self.send(SettingsFrame(flags=["ACK"]))

    def _take_block(self, first: HeadersFrame, frame: Frame, fragment: bytes) -> None:
        block = self._block[1] if self._block else bytearray()
        block += fragment
        self._block = (first, block)
        if "END_HEADERS" in frame.flags:
            self._block = None
            self._take_head(first, bytes(block))

    def _take_head(self, frame: HeadersFrame, block: bytes) -> None:
        message = self.message(frame.stream_id)
        decoded: Iterable[tuple[bytes, bytes]] = self._decoder.decode(block, raw=True)
        fields = [(name.decode(), value.decode("latin-1")) for name, value in decoded]
        message.ended = "END_STREAM" in frame.flags
        if message.fields:
            message.trailers = fields
        elif dict(fields).get(":status", "").startswith("1"):
            message.interim.append(fields)
        else:
            message.fields = fields

    def _take_data(self, frame: DataFrame) -> None:
        message = self.message(frame.stream_id)
        message.body += frame.data
        message.ended = "END_STREAM" in frame.flags
        taken = frame.flow_controlled_length
        streams = {0} if message.ended else {0, frame.stream_id}
        if taken:
            self.send(*(WindowUpdateFrame(stream, taken) for stream in streams - self.held))
