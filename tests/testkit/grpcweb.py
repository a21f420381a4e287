"""gRPC-Web as browsers speak it (`PROTOCOL-WEB.md`): what they send, and what they can read.

The codec is the test kit's own: it knows both forms, binary and base64, and is strict.
"""

import base64
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import httpx

BINARY = "application/grpc-web+proto"
TEXT = "application/grpc-web-text"
ORIGIN = "https://app.example"
_TRAILERS = 0x80
_PREFIX_BYTES = 5


def framed(message: bytes, flags: int = 0) -> bytes:
    """A message as it stands in a body."""
    return bytes([flags]) + len(message).to_bytes(4, "big") + message


def written(body: bytes, content_type: str) -> bytes:
    """A body in the form of its content type."""
    return base64.b64encode(body) if content_type.startswith(TEXT) else body


def headers(content_type: str, *more: tuple[str, str]) -> dict[str, str]:
    """What a page's client sends, and what it sends besides or instead."""
    return {
        "content-type": content_type,
        "accept": content_type,
        "x-grpc-web": "1",
        "x-user-agent": "grpc-web-javascript/0.1",
        "origin": ORIGIN,
        **dict(more),
    }


@dataclass(frozen=True)
class Answer:
    """A whole response.

    Attributes:
        fields: Of its head.
        messages: In their order.
        trailers: Lines of the last message, or of the head of a response without messages.
    """

    fields: httpx.Headers
    messages: list[bytes]
    trailers: dict[str, str]

    @property
    def status(self) -> tuple[int, str]:
        """Code and message."""
        return int(self.trailers["grpc-status"]), self.trailers.get("grpc-message", "")


class Body:
    """Takes a body in pieces and gives messages as soon as they are whole.

    Args:
        content_type: Of the response.
    """

    def __init__(self, content_type: str) -> None:
        self.trailers: dict[str, str] | None = None
        self._is_text = content_type.startswith(TEXT)
        self._text, self._bytes = b"", b""

    def take(self, piece: bytes) -> Iterator[bytes]:
        """The messages that this piece completes.

        Raises:
            ValueError: If something is malformed, or follows the trailers.
        """
        if self.trailers is not None:
            raise ValueError(f"behind the trailers: {piece!r}")
        self._bytes += self._decoded(piece) if self._is_text else piece
        while len(self._bytes) >= (end := self._end()):
            flags, message = self._bytes[0], self._bytes[_PREFIX_BYTES:end]
            self._bytes = self._bytes[end:]
            if flags == 0:
                yield message
            elif flags == _TRAILERS:
                self.trailers = _lines(message)
            else:
                raise ValueError(f"flags {flags}")

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing of a message or of a group of base64."""
        return not self._text and not self._bytes

    def _end(self) -> int:
        """Where the first message ends; behind the prefix if that is not here yet."""
        prefix = self._bytes[:_PREFIX_BYTES]
        is_there = len(prefix) == _PREFIX_BYTES
        return _PREFIX_BYTES + (int.from_bytes(prefix[1:], "big") if is_there else 0)

    def _decoded(self, piece: bytes) -> bytes:
        """Groups of four; padding may end any of them."""
        self._text += piece
        count = len(self._text) // 4 * 4
        groups = [self._text[at : at + 4] for at in range(0, count, 4)]
        self._text = self._text[count:]
        return b"".join(base64.b64decode(group, validate=True) for group in groups)


def _lines(message: bytes) -> dict[str, str]:
    """Names are in lower case, and none comes twice."""
    lines = [line.split(":", 1) for line in message.decode().split("\r\n") if line]
    fields = {name: value.strip() for name, value in lines}
    if len(fields) != len(lines) or any(name != name.lower() for name in fields):
        raise ValueError(f"trailers {message!r}")
    return fields


def read(response: httpx.Response) -> Answer:
    """Take apart a whole response.

    Raises:
        AssertionError: If it is none that a browser's client understands.
    """
    assert response.status_code == 200, (response.status_code, response.content)
    content_type = response.headers["content-type"]
    body = Body(content_type)
    messages = list(body.take(response.content)) if response.content else []
    assert body.is_whole, response.content
    assert (body.trailers is None) == ("grpc-status" in response.headers), response.headers
    in_head = {name: value for name, value in response.headers.items() if name.startswith("grpc")}
    trailers = body.trailers if body.trailers is not None else in_head
    return Answer(response.headers, messages, trailers)


class WebClient:
    """A browser's connection.

    Args:
        port: On 127.0.0.1.
        version: 1 or 2, of HTTP.
        content_type: What it sends and accepts.
        trust: For TLS; None = in the clear.
    """

    def __init__(
        self, port: int, version: int, content_type: str, trust: ssl.SSLContext | None = None
    ) -> None:
        scheme = "http" if trust is None else "https"
        self.http = httpx.Client(
            base_url=f"{scheme}://127.0.0.1:{port}/kit.Calls",
            verify=trust or True,
            http1=version == 1,
            http2=version == 2,
            timeout=10,
        )
        self.content_type = content_type

    def post(self, method: str, body: bytes | Iterable[bytes], *more: tuple[str, str]) -> Answer:
        """Send a body, already in its form, and read the whole answer."""
        sent = headers(self.content_type, *more)
        return read(self.http.post(method, content=body, headers=sent))

    def call(self, method: str, message: bytes, *more: tuple[str, str]) -> Answer:
        """One message and its answer."""
        return self.post(method, written(framed(message), self.content_type), *more)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
