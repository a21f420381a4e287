"""Connections that ask once and then stay silent: plain, over TLS, HTTP/2.

HTTP/2 is spoken by hand, in as few frames as RFC 9113 allows: thousands of connections with a full
client each would be more work than the proxy has.
"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

_TIMEOUT_S = 10
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEAD_BYTES = 9
# RFC 9113 §6: types and flags of frames.
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
# RFC 7541 appendix A, as indexed fields.
_METHOD_GET, _SCHEME_HTTP, _SCHEME_HTTPS, _STATUS_200 = 0x82, 0x86, 0x87, 0x88
# RFC 7541 §6.2.2: a literal value for an indexed name, not to be remembered.
_AUTHORITY, _PATH = 0x01, 0x04


@dataclass(frozen=True)
class IdleClient:
    """Opens connections to a port of 127.0.0.1.

    Attributes:
        port: Of the proxy.
        path: What is asked for; the answer must fit one segment.
        context: For TLS; None for none.
        http2: Speak HTTP/2.
    """

    port: int
    path: str
    context: ssl.SSLContext | None
    http2: bool

    def open(self, stack: ExitStack) -> None:
        """Connect, get one answer, leave the connection to ``stack``.

        Raises:
            OSError: If the connection was refused or closed, or the answer is not 200.
        """
        plain = stack.enter_context(socket.socket())
        plain.settimeout(_TIMEOUT_S)
        plain.connect(("127.0.0.1", self.port))
        connection = plain
        if self.context is not None:
            connection = self.context.wrap_socket(plain, server_hostname="127.0.0.1")
            stack.enter_context(connection)
        if self.http2:
            self._ask_http2(connection)
        else:
            self._ask(connection)

    def _ask(self, connection: socket.socket) -> None:
        connection.sendall(f"GET {self.path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        # Head and 64-byte body fit one segment, and the backend sends them in one write.
        if not connection.recv(4096).startswith(b"HTTP/1.1 200"):
            raise ConnectionError("a connection that should be kept idle was refused")

    def _ask_http2(self, connection: socket.socket) -> None:
        request = _frame(_HEADERS, _END_STREAM | _END_HEADERS, 1, self._request_block())
        connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b"") + request)
        status, is_over = b"", False
        for kind, flags, payload in _frames(connection):
            if kind == _SETTINGS and not flags & _ACK:
                connection.sendall(_frame(_SETTINGS, _ACK, 0, b""))
            status = payload if kind == _HEADERS else status
            is_over = is_over or (kind in (_DATA, _HEADERS) and bool(flags & _END_STREAM))
            if is_over:
                break
        if not is_over or _STATUS_200 not in status[:2]:
            raise ConnectionError("a connection that should be kept idle was refused")

    def _request_block(self) -> bytes:
        scheme = _SCHEME_HTTP if self.context is None else _SCHEME_HTTPS
        path = self.path.encode()
        named = bytes([_AUTHORITY, 5]) + b"bench" + bytes([_PATH, len(path)]) + path
        return bytes([_METHOD_GET, scheme]) + named


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def _frames(connection: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and payload of each frame until the connection ends."""
    received = b""
    while chunk := connection.recv(4096):
        received += chunk
        while len(received) >= _FRAME_HEAD_BYTES:
            end = _FRAME_HEAD_BYTES + int.from_bytes(received[:3], "big")
            if len(received) < end:
                break
            yield received[3], received[4], received[_FRAME_HEAD_BYTES:end]
            received = received[end:]
