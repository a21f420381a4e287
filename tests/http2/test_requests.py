"""Requests of HTTP/2 as servers of HTTP/1.1 get them (RFC 9113 §8, RFC 9112)."""

import pytest
from hyperframe.frame import DataFrame, HeadersFrame

from testkit.http2_client import Http2Client, head
from testkit.site import Program, Site
from testkit.upstream import Upstream, hang, read_request
from testkit.waiting import wait_until


def lines_of(upstream: Upstream, number: int = 0) -> list[str]:
    """The lines of a request's head."""
    return upstream.requests[number].split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")


def values(upstream: Upstream, name: str) -> list[str]:
    """All values of a field of the first request."""
    pairs = (line.split(": ", 1) for line in lines_of(upstream)[1:])
    return [value for found, value in pairs if found.lower() == name]


def body_of(upstream: Upstream) -> bytes:
    return upstream.requests[0].split(b"\r\n\r\n", 1)[1]


def content_of(upstream: Upstream) -> tuple[bytes, str]:
    """Content and trailer lines; a body that came whole may have a length, others are in chunks."""
    if values(upstream, "content-length"):
        return body_of(upstream), ""
    assert values(upstream, "transfer-encoding") == ["chunked"]
    raw, content = body_of(upstream), b""
    while True:
        line, _, raw = raw.partition(b"\r\n")
        size = int(line, 16)
        if size == 0:
            return content, raw.removesuffix(b"\r\n").decode()
        content, raw = content + raw[:size], raw[size + 2 :]


def test_request_line_and_host(client: Http2Client, upstream: Upstream) -> None:
    client.request(head("GET", "/a/b?c=d&e=%20", authority="shop.example:8080"))
    assert lines_of(upstream)[0] == "GET /a/b?c=d&e=%20 HTTP/1.1"
    assert values(upstream, "host") == ["shop.example:8080"]
    assert not any(line.startswith(":") for line in lines_of(upstream))


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "PROPFIND", "x-odd"])
def test_methods(client: Http2Client, upstream: Upstream, method: str) -> None:
    assert client.request(head(method)).status == 200
    assert lines_of(upstream)[0] == f"{method} / HTTP/1.1"


def test_options_of_the_server_itself(client: Http2Client, upstream: Upstream) -> None:
    assert client.request(head("OPTIONS", "*")).status == 200
    assert lines_of(upstream)[0] == "OPTIONS * HTTP/1.1"


def test_host_in_place_of_authority(client: Http2Client, upstream: Upstream) -> None:
    """As a gateway from HTTP/1.1 may send it (RFC 9113 §8.3.1)."""
    fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "h.example")]
    assert client.request(fields).status == 200
    assert values(upstream, "host") == ["h.example"]


def test_host_beside_authority(client: Http2Client, upstream: Upstream) -> None:
    assert client.request(head("GET", "/", ("host", "a.example"))).status == 200
    assert values(upstream, "host") == ["a.example"]


def test_order_of_pseudo_headers_does_not_matter(client: Http2Client) -> None:
    assert client.request(head()[::-1]).status == 200


def test_cookies_are_joined(client: Http2Client, upstream: Upstream) -> None:
    """RFC 9113 §8.2.3."""
    crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3"), ("cookie", "d")]
    assert client.request(head("GET", "/", *crumbs)).status == 200
    assert values(upstream, "cookie") == ["a=1; b=2; c=3; d"]


def test_fields_are_passed_on_in_order(client: Http2Client, upstream: Upstream) -> None:
    more = [("x-a", "1"), ("x-b", ""), ("x-a", "2, 3"), ("x-c", "\xe4\xff\t!")]
    stream = client.next_stream()
    fields = [(name.encode(), value.encode("latin-1")) for name, value in head("GET", "/", *more)]
    block = client.endpoint.encoder.encode(fields)
    client.send(HeadersFrame(stream, block, flags=["END_HEADERS", "END_STREAM"]))
    assert client.response(stream).status == 200
    assert values(upstream, "x-a") == ["1", "2, 3"]
    assert values(upstream, "x-b") == [""]
    assert values(upstream, "x-c") == ["\xe4\xff\t!"]


def test_te_is_for_this_hop(client: Http2Client, upstream: Upstream) -> None:
    assert client.request(head("GET", "/", ("te", "trailers"))).status == 200
    # RFC 9110 §10.1.4: who sends it on must list it in Connection.
    assert values(upstream, "te") == [] or values(upstream, "connection") == ["te"]


def test_who_the_client_is(client: Http2Client, upstream: Upstream) -> None:
    claim = ("x-forwarded-for", "1.2.3.4")
    assert client.request(head("GET", "/", claim)).status == 200
    assert values(upstream, "x-forwarded-for") == ["127.0.0.1"]
    assert values(upstream, "x-forwarded-proto") == ["http"]
    assert values(upstream, "x-forwarded-host") == ["a.example"]


class TestBodies:
    """How the end of a body is found anew."""

    def test_with_a_length(self, client: Http2Client, upstream: Upstream) -> None:
        fields = head("POST", "/", ("content-length", "5"))
        assert client.request(fields, b"hello").status == 200
        assert values(upstream, "content-length") == ["5"]
        assert values(upstream, "transfer-encoding") == []
        assert body_of(upstream) == b"hello"

    def test_without_a_length(self, client: Http2Client, upstream: Upstream) -> None:
        stream = client.open(head("POST"), end=False)
        client.ping()
        client.send_data(stream, b"hel")
        client.send_data(stream, b"lo", end=True)
        assert client.response(stream).status == 200
        assert content_of(upstream) == (b"hello", "")

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_none(self, client: Http2Client, upstream: Upstream, method: str) -> None:
        assert client.request(head(method)).status == 200
        assert values(upstream, "transfer-encoding") == []
        assert values(upstream, "content-length") in ([], ["0"])
        assert body_of(upstream) == b""

    def test_empty(self, client: Http2Client, upstream: Upstream) -> None:
        """The end comes in a frame of its own."""
        assert client.request(head("POST", "/", ("content-length", "0")), b"").status == 200
        assert values(upstream, "content-length") == ["0"]
        assert body_of(upstream) == b""

    def test_padding_is_no_content(self, client: Http2Client, upstream: Upstream) -> None:
        stream = client.next_stream()
        block = client.endpoint.encoder.encode(head("POST", "/", ("content-length", "5")))
        padded = {"END_HEADERS", "PADDED", "PRIORITY"}
        client.send(
            HeadersFrame(stream, block, pad_length=200, stream_weight=7, flags=list(padded)),
            DataFrame(stream, b"", pad_length=255, flags=["PADDED"]),
            DataFrame(stream, b"hello", pad_length=9, flags=["PADDED", "END_STREAM"]),
        )
        assert client.response(stream).status == 200
        assert body_of(upstream) == b"hello"

    @pytest.mark.parametrize("size", [16_383, 16_385, 65_535, 65_536, 262_145, 3_000_000])
    @pytest.mark.parametrize("framing", ["length", "chunks"])
    def test_sizes(self, client: Http2Client, upstream: Upstream, size: int, framing: str) -> None:
        body = (bytes(range(256)) * (size // 256 + 1))[:size]
        length = [("content-length", str(size))] if framing == "length" else []
        assert client.request(head("POST", "/", *length), body).status == 200
        assert content_of(upstream)[0] == body

    def test_trailers(self, client: Http2Client, upstream: Upstream) -> None:
        stream = client.open(head("POST", "/", ("trailer", "x-sum")), end=False)
        client.send_data(stream, b"hello")
        client.send_trailers(stream, [("x-sum", "1234"), ("x-sum", "5")])
        assert client.response(stream).status == 200
        content, trailers = content_of(upstream)
        assert content == b"hello"
        assert trailers.lower() == "x-sum: 1234\r\nx-sum: 5\r\n"

    def test_trailers_behind_a_known_length(self, client: Http2Client, upstream: Upstream) -> None:
        """HTTP/1.1 has no place for them there, and they may be dropped (RFC 9110 §6.5.1)."""
        stream = client.open(head("POST", "/", ("content-length", "5")), end=False)
        client.send_data(stream, b"hello")
        client.send_trailers(stream, [("x-sum", "1234")])
        assert client.response(stream).status == 200
        assert content_of(upstream)[0] == b"hello"

    def test_trailers_without_content(self, client: Http2Client, upstream: Upstream) -> None:
        stream = client.open(head("POST"), end=False)
        client.send_trailers(stream, [("x-sum", "0")])
        assert client.response(stream).status == 200
        content, trailers = content_of(upstream)
        assert (content, trailers.lower()) == (b"", "x-sum: 0\r\n")


class TestMany:
    """Streams of one connection are requests of their own."""

    def test_in_parallel(self, client: Http2Client, upstream: Upstream) -> None:
        streams = [client.open(head("GET", f"/{number}")) for number in range(100)]
        assert [client.response(stream).status for stream in streams] == [200] * 100
        paths = {request.split(b" ")[1] for request in upstream.requests}
        assert paths == {b"/%d" % number for number in range(100)}

    def test_one_after_another(self, client: Http2Client, upstream: Upstream) -> None:
        """The HPACK table and the windows of the connection last."""
        fields = head("POST", "/", ("x-long", "v" * 3_000))
        for _ in range(60):
            assert client.request(fields, b"x" * 40_000).status == 200
        assert upstream.connection_count == 1

    def test_counted_and_logged_one_by_one(
        self, program: Program, site: Site, client: Http2Client
    ) -> None:
        for number in range(3):
            client.request(head("GET", f"/{number}?q"))
        entries = program.log(site, 3)
        assert [entry["path"] for entry in entries] == ["/0?q", "/1?q", "/2?q"]
        assert {entry["host"] for entry in entries} == {"a.example"}
        listener = f"lb.http.{site.name}"
        assert program.trunkline.metric("trunkline_requests_total", listener=listener) == 3
        assert program.trunkline.metric("trunkline_connections_total", listener=listener) == 1

    def test_a_cancelled_request_is_cancelled(
        self, program: Program, site: Site, client: Http2Client, upstream: Upstream
    ) -> None:
        """The server is told by the end of its connection."""
        upstream.script([read_request, hang])
        stream = client.open()
        upstream.wait_for_requests(1)
        client.reset(stream, 8)
        wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the server to be told")
        (entry,) = program.log(site)
        assert (entry["status"], entry["reason"]) == (0, "client_closed")
