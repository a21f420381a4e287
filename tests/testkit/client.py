"""A raw HTTP/1.1 client that sends exactly the bytes it is given and trusts nothing it gets back.

Its parse of responses is its own, minimal and strict: a proxy that frames a response loosely fails
the test that reads it. It blocks, with a timeout on every wait.
"""

import re
import socket
import ssl
from dataclasses import dataclass
from typing import Self

from testkit.tcp import LINGER_RESET

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9]) ([\t -~]*)")
_FIELD_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[!-~\x80-\xff](?:.*\S)?)?)[ \t]*"
)
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)(;.*)?")
_READ_BYTES = 65536


class BadResponseError(Exception):
    """The peer answered something that is not one well-framed HTTP/1.1 response."""


@dataclass(frozen=True)
class Response:
    """One response, its framing already checked.

    Attributes:
        minor_version: 0 or 1.
        status: 100 to 599.
        fields: Name in lower case and value, in order, repeated ones too.
        body: Without chunk framing.
        trailers: As ``fields``.
    """

    minor_version: int
    status: int
    fields: list[tuple[str, str]]
    body: bytes
    trailers: list[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for found, value in self.fields if found == name.lower()]

    def value(self, name: str) -> str:
        """The value of a field that must be there once.

        Raises:
            BadResponseError: If it is missing or repeated.
        """
        values = self.values(name)
        if len(values) != 1:
            raise BadResponseError(f"{len(values)} fields {name}: {self.fields}")
        return values[0]


class Client:
    """One connection.

    Args:
        port: On 127.0.0.1.
        timeout_s: For every single wait.
        receive_buffer_bytes: Kernel receive buffer; small ones make a client that reads nothing
            block its peer early.
        tls: Default: in the clear.
        server_name: What is asked for by SNI, and must be in the certificate if ``tls`` looks.
        session: Of an earlier connection with the same ``tls``, to be resumed.
    """

    def __init__(
        self,
        port: int,
        *,
        timeout_s: float = 5,
        receive_buffer_bytes: int | None = None,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(timeout_s)
        if receive_buffer_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        try:
            self.socket.connect(("127.0.0.1", port))
            if tls is not None:
                self.socket = tls.wrap_socket(
                    self.socket, server_hostname=server_name, session=session
                )
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def send(self, data: bytes) -> None:
        """Send all, in as few segments as the kernel likes."""
        self.socket.sendall(data)

    def send_bytewise(self, data: bytes) -> None:
        """Send one byte at a time, each in a segment of its own.

        Stops early if the peer has already ended the connection: a refusal may come before the
        last byte.
        """
        try:
            for value in data:
                self.socket.sendall(bytes([value]))
        except (BrokenPipeError, ConnectionResetError):
            return

    def half_close(self) -> None:
        """No more bytes will come from here (FIN); reading goes on."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        self.socket.close()

    def request(self, raw: bytes, method: str = "GET") -> Response:
        """Send and read one response."""
        self.send(raw)
        return self.read_response(method)

    def read_response(self, method: str = "GET") -> Response:
        """Read exactly one response; later bytes stay for the next call. 1xx are responses, too.

        Args:
            method: Of the request: a response to HEAD and a 2xx to CONNECT have no body.

        Raises:
            BadResponseError: If it is malformed or ends early.
            TimeoutError: If nothing came in time.
        """
        minor_version, status = self._read_status_line()
        fields = self._read_fields()
        body, trailers = self._read_body(method, status, fields)
        return Response(minor_version, status, fields, body, trailers)

    def read_until_close(self) -> bytes:
        """Everything until the peer's FIN.

        Raises:
            ConnectionResetError: If it ends with RST.
            TimeoutError: If it stays open and silent.
        """
        while self._fill():
            pass
        return self._take(len(self._buffer))

    def is_closed(self) -> bool:
        """Wait for the peer's FIN or RST; False if bytes come or nothing happens in time."""
        try:
            return not self._buffer and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def close(self) -> None:
        """End the connection."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_status_line(self) -> tuple[int, int]:
        match = _matched(_STATUS_LINE, self._line())
        return int(match[1]), int(match[2])

    def _read_fields(self) -> list[tuple[str, str]]:
        fields = []
        while line := self._line():
            match = _matched(_FIELD_LINE, line)
            fields.append((match[1].decode().lower(), match[2].decode("latin-1")))
        return fields

    def _read_body(
        self, method: str, status: int, fields: list[tuple[str, str]]
    ) -> tuple[bytes, list[tuple[str, str]]]:
        lengths = [value for name, value in fields if name == "content-length"]
        codings = [value for name, value in fields if name == "transfer-encoding"]
        if len(lengths) + len(codings) > 1 or codings not in ([], ["chunked"]):
            raise BadResponseError(f"ambiguous framing: {fields}")
        if status < 200 or status in (204, 304) or method == "HEAD":
            return b"", []
        if method == "CONNECT" and status < 300:
            return b"", []
        if codings:
            return self._read_chunks()
        return (self._exactly(int(lengths[0])) if lengths else self.read_until_close()), []

    def _read_chunks(self) -> tuple[bytes, list[tuple[str, str]]]:
        body = b""
        while size := int(_matched(_CHUNK_LINE, self._line())[1], 16):
            body += self._exactly(size)
            if self._line():
                raise BadResponseError("chunk data longer than its size says")
        return body, self._read_fields()

    def _line(self) -> bytes:
        """The next line without its CRLF; a bare CR or LF in it is an error."""
        while b"\r\n" not in self._buffer:
            if not self._fill():
                raise BadResponseError(f"connection ended within a line: {self._buffer!r}")
        line = self._take(self._buffer.index(b"\r\n"))
        self._take(2)
        if b"\r" in line or b"\n" in line:
            raise BadResponseError(f"bare CR or LF: {line!r}")
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._fill():
                raise BadResponseError(f"body ended at {len(self._buffer)} of {size} bytes")
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _fill(self) -> bool:
        """Read what there is; False at the peer's FIN."""
        data = self.socket.recv(_READ_BYTES)
        self._buffer += data
        return bool(data)


def _matched(pattern: re.Pattern[bytes], line: bytes) -> re.Match[bytes]:
    match = pattern.fullmatch(line)
    if match is None:
        raise BadResponseError(f"malformed line: {line!r}")
    return match
