"""One requirement of RFC 9110 or 9112 on an intermediary, as an exchange on the wire.

A client sends bytes, a server behind the proxy answers with bytes, and the row says what both get.
By default a plain GET is sent, the answer is a plain 200, and the connection stays usable.
"""

from dataclasses import dataclass

from testkit.upstream import OK
from vectors.http1_row import GET

Lines = tuple[str, ...]
# Where the RFC leaves open which.
ANY_FINAL = range(200, 600)
ANY_4XX = range(400, 500)


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        section: ``9112 §3.2``.
        rule: What the RFC demands, in few words.
        sends: All bytes of the client.
        answers: What the server sends once it has read the head of a request and, unless
            ``early``, its body; later requests get a plain 200.
        statuses: Of all responses to the client, interim ones too.
        closes: The proxy closes the client's connection after the last of them, and says so.
        forwarded: How many requests the server gets.
        server_gets: Lines that it gets, field names in any case.
        server_lacks: Names of fields that it must not get, in headers or trailers.
        server_body: What it gets as the last request's body, with its framing.
        client_gets: Lines of the last response's head, field names in any case.
        client_lacks: Names of fields that no response may have, in headers or trailers.
        client_body: Content of the last response.
        cut: The last response shows that it is incomplete: 502, or the connection ends within it.
        early: The server answers when it has the head.
        ends: The server closes after its answer.
        resets: The server resets the connection instead of an answer.
        half_closes: The client says that no more will come.
        server_connections: How many the proxy has needed, for the row and one more request.
        listener: Name of the listener (``test_rfc.py``).
    """

    section: str
    rule: str
    sends: bytes = GET
    answers: bytes = OK
    statuses: tuple[int | range, ...] = (200,)
    closes: bool = False
    forwarded: int = 1
    server_gets: Lines = ()
    server_lacks: Lines = ()
    server_body: bytes | None = None
    client_gets: Lines = ()
    client_lacks: Lines = ()
    client_body: bytes | None = None
    cut: bool = False
    early: bool = False
    ends: bool = False
    resets: bool = False
    half_closes: bool = False
    server_connections: int | None = None
    listener: str = "plain"

    @property
    def tunnels(self) -> bool:
        """Bytes follow, not responses."""
        connects = self.sends.startswith(b"CONNECT") and self.statuses == (200,)
        return connects or self.statuses == (101,)

    @property
    def stays(self) -> bool:
        """The client's connection can be used for one more request."""
        return not (self.closes or self.cut or self.half_closes) and self.listener != "hosts"


def refused(section: str, rule: str, sends: bytes, status: int | range = 400) -> Row:
    """Nothing of the request is forwarded."""
    return Row(section, rule, sends, statuses=(status,), closes=True, forwarded=0)


def bad_gateway(section: str, rule: str, answers: bytes) -> Row:
    """Nothing of the response is forwarded, and its connection is not used again."""
    return Row(
        section,
        rule,
        answers=answers,
        statuses=(502,),
        server_connections=2,
        client_lacks=("x-evil",),
    )


def head(*lines: bytes, status_line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """A response's head."""
    return b"\r\n".join([status_line, *lines]) + b"\r\n\r\n"


def sized(*lines: bytes, status_line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """A response with a body of five bytes and these lines before its length."""
    return head(*lines, b"Content-Length: 5", status_line=status_line) + b"hello"
