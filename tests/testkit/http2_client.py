"""An HTTP/2 client that sends exactly the frames it is told to. It blocks, with a timeout."""

import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Self

from hyperframe.frame import Frame, PingFrame, RstStreamFrame, WindowUpdateFrame

from testkit.http2 import PREFACE, Endpoint, Fields, Message

_READ_BYTES = 65_536


class ConnectionOverError(Exception):
    """The peer ended the connection before what was waited for came."""


def head(
    method: str = "GET",
    path: str = "/",
    *more: tuple[str, str],
    authority: str = "a.example",
    scheme: str = "http",
) -> list[tuple[str, str]]:
    """The fields of a request."""
    pseudo = [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]
    return [*pseudo, *more]


def until_stuck(client: "Http2Client", stream: int) -> int:
    """Send until the window stays shut; how many bytes went."""
    total = 0
    while True:
        sent = client.endpoint.send_data(stream, b"x" * 100_000, end=False)
        client.flush()
        total += sent
        if not sent:
            client.ping()
            client.ping()
            if client.endpoint.window(stream) == 0:
                return total


class Http2Client:
    """One connection.

    Args:
        port: On 127.0.0.1.
        tls: Default: in the clear, with prior knowledge.
        server_name: What is asked for by SNI.
        settings: What the first SETTINGS say.
        greets: Whether it begins with the preface and SETTINGS.
        timeout_s: For every single wait.
        receive_buffer_bytes: Kernel receive buffer.
    """

    def __init__(
        self,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        settings: Mapping[int, int] | None = None,
        greets: bool = True,
        timeout_s: float = 5,
        receive_buffer_bytes: int | None = None,
    ) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(timeout_s)
        if receive_buffer_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        try:
            self.socket.connect(("127.0.0.1", port))
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname=server_name)
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.endpoint = Endpoint(settings, PREFACE)
        self._scheme = "http" if tls is None else "https"
        self._next_stream = 1
        if greets:
            self.flush()
        self.endpoint.take_output()

    # --- sending ---

    def send(self, *frames: Frame | bytes) -> None:
        """Send frames, or whatever bytes."""
        pieces = (frame if isinstance(frame, bytes) else frame.serialize() for frame in frames)
        self.socket.sendall(b"".join(pieces))

    def flush(self) -> None:
        """Send what the endpoint has to say."""
        if output := self.endpoint.take_output():
            self.socket.sendall(output)

    def next_stream(self) -> int:
        """A number that was not used yet."""
        number, self._next_stream = self._next_stream, self._next_stream + 2
        return number

    def head(self, method: str = "GET", path: str = "/", *more: tuple[str, str]) -> Fields:
        """The fields of a request, with the scheme of this connection."""
        return head(method, path, *more, scheme=self._scheme)

    def open(self, fields: Fields | None = None, *, end: bool = True) -> int:
        """Send the head of a request; the number of its stream."""
        stream = self.next_stream()
        self.endpoint.send_head(stream, fields or self.head(), end=end)
        self.flush()
        return stream

    def send_data(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send DATA as the windows allow, waiting for them."""
        sent = self.endpoint.send_data(stream, data, end=end)
        self.flush()
        while sent < len(data):
            self.run_until(lambda: self.endpoint.window(stream) > 0)
            sent += self.endpoint.send_data(stream, data[sent:], end=end)
            self.flush()

    def send_trailers(self, stream: int, fields: Fields) -> None:
        """Send the end of a message, with fields."""
        self.endpoint.send_head(stream, fields, end=True)
        self.flush()

    def reset(self, stream: int, code: int) -> None:
        """Send RST_STREAM."""
        self.send(RstStreamFrame(stream, code))

    def widen(self, stream: int, increment: int) -> None:
        """Send WINDOW_UPDATE."""
        self.send(WindowUpdateFrame(stream, increment))

    # --- receiving ---

    def message(self, stream: int) -> Message:
        """What has come on a stream so far."""
        return self.endpoint.message(stream)

    def run_until(self, check: Callable[[], bool]) -> None:
        """Read until it is true.

        Raises:
            ConnectionOverError: If the peer ended the connection before.
            TimeoutError: If it was silent for too long.
        """
        while not check():
            try:
                data = self.socket.recv(_READ_BYTES)
            except ConnectionResetError as error:
                raise ConnectionOverError("reset") from error
            if not data:
                raise ConnectionOverError(f"closed; GOAWAY: {self.endpoint.goaway}")
            self.endpoint.receive(data)
            self._answer()

    def response(self, stream: int) -> Message:
        """The whole response, or what came of it before a reset."""
        message = self.message(stream)
        self.run_until(lambda: message.is_over)
        return message

    def reset_code(self, stream: int) -> int:
        """The code of RST_STREAM, once it is here, be it behind a whole response."""
        message = self.message(stream)
        self.run_until(lambda: message.reset is not None)
        assert message.reset is not None
        return message.reset

    def request(self, fields: Fields | None = None, body: bytes | None = None) -> Message:
        """Send a request and read the response."""
        stream = self.open(fields, end=body is None)
        if body is not None:
            self.send_data(stream, body, end=True)
        return self.response(stream)

    def ping(self) -> None:
        """Wait until the peer has taken in all that was sent."""
        pongs = self.endpoint.pongs
        self.send(PingFrame(0, b"kit-ping"))
        self.run_until(lambda: self.endpoint.pongs > pongs)

    def goaway_code(self) -> int:
        """The code of GOAWAY, once the peer has closed the connection.

        Raises:
            ConnectionOverError: If it closed without one.
        """
        try:
            self.run_until(lambda: False)
        except ConnectionOverError:
            if self.endpoint.goaway is None:
                raise
        assert self.endpoint.goaway is not None
        return self.endpoint.goaway.error_code

    def is_closed(self) -> bool:
        """Wait for the peer's end of the connection; False if it is silent."""
        try:
            self.run_until(lambda: False)
        except TimeoutError:
            return False
        except ConnectionOverError:
            return True
        raise AssertionError

    def close(self) -> None:
        """End the connection."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answer(self) -> None:
        """Whoever has closed the connection needs no answers any more."""
        try:
            self.flush()
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            return
