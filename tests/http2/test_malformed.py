"""Requests that RFC 9113 §8 calls malformed: a stream error PROTOCOL_ERROR, and nothing is sent on.

The connection goes on, and the next request on it is served.
"""

from collections.abc import Iterator

import pytest

from testkit.http2 import Code, Fields
from testkit.http2_client import Http2Client, head
from testkit.site import Program, Site
from testkit.upstream import Upstream
from testkit.waiting import wait_until

GET = head()
POST = head("POST")


def without(name: str) -> Fields:
    return [field for field in GET if field[0] != name]


def replaced(name: str, value: str) -> Fields:
    return [(found, value if found == name else old) for found, old in GET]


def plus(*more: tuple[str, str]) -> Fields:
    return [*GET, *more]


# What is wrong, the reason it is counted by, the fields.
HEADS: list[tuple[str, str, Fields]] = [
    ("§8.2.1 upper case", "bad_field_name", plus(("X-Test", "1"))),
    ("§8.2.1 space in a name", "bad_field_name", plus(("x test", "1"))),
    ("§8.2.1 empty name", "bad_field_name", plus(("", "1"))),
    ("§8.2.1 colon in a name", "bad_field_name", plus(("x:y", "1"))),
    ("§8.2.1 NUL in a value", "bad_field_value", plus(("x", "a\0b"))),
    ("§8.2.1 LF in a value", "bad_field_value", plus(("x", "a\nx-smuggled: 1"))),
    ("§8.2.1 CR in a value", "bad_field_value", plus(("x", "a\rb"))),
    ("§8.2.1 space before a value", "bad_field_value", plus(("x", " a"))),
    ("§8.2.1 tab behind a value", "bad_field_value", plus(("x", "a\t"))),
    ("§8.2.2 connection", "connection_specific_field", plus(("connection", "x"))),
    ("§8.2.2 keep-alive", "connection_specific_field", plus(("keep-alive", "timeout=5"))),
    ("§8.2.2 proxy-connection", "connection_specific_field", plus(("proxy-connection", "x"))),
    (
        "§8.2.2 transfer-encoding",
        "connection_specific_field",
        plus(("transfer-encoding", "chunked")),
    ),
    ("§8.2.2 upgrade", "connection_specific_field", plus(("upgrade", "websocket"))),
    ("§8.2.2 te", "bad_te", plus(("te", "gzip"))),
    ("§8.2.2 te with more", "bad_te", plus(("te", "trailers, gzip"))),
    ("§8.3 unknown pseudo-header", "unknown_pseudo_header", [*GET, (":odd", "1")]),
    ("§8.3 of a response", "misplaced_pseudo_header", [*GET, (":status", "200")]),
    ("§8.3 behind a field", "late_pseudo_header", [*GET[:3], ("x", "y"), *GET[3:]]),
    ("§8.3.1 no :method", "missing_pseudo_header", without(":method")),
    ("§8.3.1 no :scheme", "missing_pseudo_header", without(":scheme")),
    ("§8.3.1 no :path", "missing_pseudo_header", without(":path")),
    ("§8.3.1 :method twice", "repeated_pseudo_header", [GET[0], *GET]),
    ("§8.3.1 :path twice", "repeated_pseudo_header", [*GET, (":path", "/admin")]),
    ("§8.3.1 :authority twice", "repeated_pseudo_header", [*GET, (":authority", "b.example")]),
    ("§8.3.1 empty :path", "bad_path", replaced(":path", "")),
    ("§8.3.1 :path without slash", "bad_path", replaced(":path", "x")),
    ("§8.3.1 absolute :path", "bad_path", replaced(":path", "http://a.example/")),
    ("§8.3.1 * without OPTIONS", "bad_path", replaced(":path", "*")),
    ("§8.3.1 a space in :path", "bad_pseudo_header", replaced(":path", "/ HTTP/1.1")),
    ("§8.3.1 a line in :path", "bad_pseudo_header", replaced(":path", "/\r\nx: y")),
    ("§8.3.1 :method no token", "bad_method", replaced(":method", "GE(T")),
    ("§8.3.1 a space in :method", "bad_pseudo_header", replaced(":method", "GET /admin")),
    ("§8.3.1 :scheme", "bad_scheme", replaced(":scheme", "1http")),
    ("§8.3.1 userinfo", "bad_authority", replaced(":authority", "user@a.example")),
    ("§8.3.1 empty :authority", "bad_authority", replaced(":authority", "")),
    ("§8.3.1 port", "bad_authority", replaced(":authority", "a.example:99999")),
    ("§8.3.1 another host", "host_mismatch", plus(("host", "b.example"))),
    ("§8.3.1 two hosts", "repeated_host", plus(("host", "a.example"), ("host", "a.example"))),
    ("§8.5 CONNECT with :path", "misplaced_pseudo_header", replaced(":method", "CONNECT")),
    (
        "§8.5 CONNECT without :authority",
        "missing_pseudo_header",
        [(":method", "CONNECT")],
    ),
    (
        "RFC 8441 §4 :protocol of a GET",
        "misplaced_pseudo_header",
        [*GET, (":protocol", "websocket")],
    ),
    ("§8.1.1 length without content", "content_length_mismatch", plus(("content-length", "1"))),
    ("RFC 9110 §8.6 no number", "bad_content_length", plus(("content-length", "+1"))),
    (
        "RFC 9110 §8.6 two lengths",
        "repeated_content_length",
        plus(("content-length", "0"), ("content-length", "1")),
    ),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def shared(program: Program, server: Upstream) -> Site:
    """One site for all: nothing of it is changed by a request that is refused."""
    site = Site([server.port])
    program.serve(site)
    return site


@pytest.fixture
def client(shared: Site) -> Iterator[Http2Client]:
    with Http2Client(shared.port) as connection:
        yield connection


class Counted:
    """How often a reason is counted while the block runs."""

    def __init__(self, program: Program, site: Site, reason: str) -> None:
        self._program, self._site, self._reason = program, site, reason

    def __enter__(self) -> None:
        self._before = self._count()

    def __exit__(self, *_: object) -> None:
        wait_until(
            lambda: self._count() > self._before, timeout_s=5, what="the reason to be counted"
        )
        assert self._count() == self._before + 1

    def _count(self) -> float:
        return self._program.failures(self._site, reason=self._reason)


@pytest.mark.parametrize(
    ("reason", "fields"), [row[1:] for row in HEADS], ids=[row[0] for row in HEADS]
)
def test_heads(
    *,
    program: Program,
    shared: Site,
    server: Upstream,
    client: Http2Client,
    reason: str,
    fields: Fields,
) -> None:
    seen = len(server.requests)
    with Counted(program, shared, reason):
        message = client.request(fields)
        assert (message.reset, message.fields) == (Code.PROTOCOL_ERROR, [])
    assert client.request().status == 200
    assert client.endpoint.goaway is None
    assert len(server.requests) == seen + 1


@pytest.mark.parametrize(
    ("length", "pieces", "end"),
    [("4", [b"hello"], True), ("6", [b"hello"], True), ("4", [b"hel", b"lo"], False)],
    ids=["too much", "too little", "too much before the end"],
)
def test_length_of_the_content(
    *,
    program: Program,
    shared: Site,
    client: Http2Client,
    length: str,
    pieces: list[bytes],
    end: bool,
) -> None:
    """§8.1.1; the server gets no whole request."""
    with Counted(program, shared, "content_length_mismatch"):
        stream = client.open(head("POST", "/", ("content-length", length)), end=False)
        for number, piece in enumerate(pieces, start=1):
            client.send_data(stream, piece, end=end and number == len(pieces))
        message = client.response(stream)
        assert (message.reset, message.fields) == (Code.PROTOCOL_ERROR, [])
    assert client.request().status == 200


@pytest.mark.parametrize(
    ("reason", "fields", "end"),
    [
        ("misplaced_pseudo_header", [(":path", "/")], True),
        ("misplaced_pseudo_header", [(":status", "200")], True),
        ("connection_specific_field", [("connection", "close")], True),
        ("bad_field_name", [("X-Sum", "1")], True),
        ("bad_field_value", [("x-sum", "1\r\nx: y")], True),
        ("trailers_without_end", [("x-sum", "1")], False),
    ],
)
def test_trailers(
    *,
    program: Program,
    shared: Site,
    client: Http2Client,
    reason: str,
    fields: Fields,
    end: bool,
) -> None:
    with Counted(program, shared, reason):
        stream = client.open(POST, end=False)
        client.send_data(stream, b"hello")
        client.endpoint.send_head(stream, fields, end=end)
        client.flush()
        assert client.response(stream).reset == Code.PROTOCOL_ERROR
    assert client.request().status == 200


def test_others_do_not_notice(client: Http2Client, server: Upstream) -> None:
    """A request in flight is finished beside one that is malformed."""
    stream = client.open(head("POST", "/", ("content-length", "5")), end=False)
    client.send_data(stream, b"hel")
    assert client.request(plus(("connection", "x"))).reset == Code.PROTOCOL_ERROR
    client.send_data(stream, b"lo", end=True)
    assert client.response(stream).status == 200
    assert server.requests[-1].endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/a/../../b", 400), ("/%2e%2e/%2E./x", 400), ("/%zz", 400), ("/a#b", 400)],
)
def test_targets_that_are_refused_as_with_http1(
    client: Http2Client, path: str, status: int
) -> None:
    assert client.request(head("GET", path)).status == status
    assert client.request().status == 200
