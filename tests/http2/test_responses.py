"""Responses of HTTP/1.1 servers as clients of HTTP/2 get them."""

from collections.abc import Callable

import pytest

from testkit.http2 import Code, Message
from testkit.http2_client import Http2Client, head
from testkit.site import Program, Site
from testkit.upstream import (
    OK,
    Connection,
    Step,
    Upstream,
    answer,
    hang,
    read_head,
    read_request,
    reset,
    response,
    send,
)

Serve = Callable[..., Site]
SWITCH = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BYTES = bytes(range(256)) * 12_000


def names(message: Message) -> set[str]:
    return {name for name, _ in message.fields}


def test_head_and_body(client: Http2Client, upstream: Upstream) -> None:
    upstream.script(answer(response(b"hello", "404 Whatever", "X-Odd: 1", "x-odd: 2", "X-Empty:")))
    message = client.request()
    assert message.fields[0] == (":status", "404")
    assert message.values("x-odd") == ["1", "2"]
    assert message.values("x-empty") == [""]
    assert message.value("content-length") == "5"
    assert (bytes(message.body), message.trailers) == (b"hello", [])


def test_names_are_in_lower_case(client: Http2Client, upstream: Upstream) -> None:
    """RFC 9113 §8.2.1."""
    upstream.script(answer(response(b"x", "200 OK", "SERVER: a", "X-MiXeD: b")))
    assert all(name == name.lower() for name in names(client.request()))


def test_what_is_for_one_connection_is_left_out(client: Http2Client, upstream: Upstream) -> None:
    """RFC 9113 §8.2.2, and what Connection lists (RFC 9110 §7.6.1)."""
    lines = ["Connection: keep-alive, X-Hop", "Keep-Alive: timeout=5", "X-Hop: 1"]
    lines += ["Proxy-Connection: keep-alive", "Upgrade: h2c", "X-End: 1"]
    upstream.script(answer(response(b"x", "200 OK", *lines)))
    assert names(client.request()) - {"date"} == {":status", "content-length", "x-end"}


def test_cookies_are_not_joined(client: Http2Client, upstream: Upstream) -> None:
    """RFC 6265 §3: Set-Cookie is no list."""
    upstream.script(answer(response(b"", "200 OK", "Set-Cookie: a=1, 2", "Set-Cookie: b=2")))
    assert client.request().values("set-cookie") == ["a=1, 2", "b=2"]


class TestBodies:
    @pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 65_535, 65_536, 3_000_000])
    @pytest.mark.parametrize("framing", ["length", "chunks", "close"])
    def test_sizes(self, client: Http2Client, upstream: Upstream, size: int, framing: str) -> None:
        body = BYTES[:size]
        chunk = b"%x\r\n%s\r\n" % (size, body) if size else b""
        raw = {
            "length": response(body),
            "chunks": CHUNKED + chunk + b"0\r\n\r\n",
            "close": b"HTTP/1.1 200 OK\r\n\r\n" + body,
        }
        upstream.script(answer(raw[framing]))
        message = client.request()
        assert (message.reset, bytes(message.body) == body) == (None, True)
        assert "transfer-encoding" not in names(message)
        if framing == "length":
            assert message.value("content-length") == str(size)

    def test_trailers(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script(answer(CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nx-more: 2\r\n\r\n"))
        message = client.request()
        assert bytes(message.body) == b"hello"
        assert message.trailers == [("x-sum", "1"), ("x-more", "2")]

    def test_trailers_that_are_for_one_connection(
        self, client: Http2Client, upstream: Upstream
    ) -> None:
        """They would make the message malformed (RFC 9113 §8.2.2)."""
        lines = b"Connection: x\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nX-Sum: 1\r\n"
        upstream.script(answer(CHUNKED + b"0\r\n" + lines + b"\r\n"))
        message = client.request()
        assert message.trailers in ([], [("x-sum", "1")])

    def test_trailers_without_content(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script(answer(CHUNKED + b"0\r\nX-Sum: 0\r\n\r\n"))
        message = client.request()
        assert (bytes(message.body), message.trailers) == (b"", [("x-sum", "0")])

    def test_head(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script([read_request, send(response(b"")[:-2].replace(b": 0", b": 5") + b"\r\n")])
        message = client.request(head("HEAD"))
        assert (message.value("content-length"), bytes(message.body)) == ("5", b"")
        assert message.ended

    @pytest.mark.parametrize("raw", [CHUNKED, b"HTTP/1.1 200 OK\r\n\r\n"])
    def test_head_of_unknown_length(
        self, client: Http2Client, upstream: Upstream, raw: bytes
    ) -> None:
        upstream.script([read_request, send(raw), hang])
        message = client.request(head("HEAD"))
        assert (message.status, bytes(message.body), message.ended) == (200, b"", True)

    @pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
    def test_no_content(self, client: Http2Client, upstream: Upstream, status: str) -> None:
        upstream.script(
            [read_request, send(f"HTTP/1.1 {status}\r\nETag: x\r\n\r\n".encode()), hang]
        )
        message = client.request()
        assert (message.status, bytes(message.body)) == (int(status[:3]), b"")
        assert message.ended

    def test_not_modified_with_a_length(self, client: Http2Client, upstream: Upstream) -> None:
        """It is that of the body which is not sent (RFC 9110 §8.6)."""
        raw = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n"
        upstream.script([read_request, send(raw), hang])
        message = client.request()
        assert (message.value("content-length"), bytes(message.body)) == ("1234", b"")


class TestInterim:
    def test_early_hints(self, client: Http2Client, upstream: Upstream) -> None:
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x\r\n\r\n"
        upstream.script([read_request, send(hints + hints.replace(b"a.css", b"b.js") + OK)])
        message = client.request()
        assert [dict(fields)[":status"] for fields in message.interim] == ["103", "103"]
        assert [dict(fields)["link"][:7] for fields in message.interim] == ["</a.css", "</b.js>"]
        assert not any("connection" in dict(fields) for fields in message.interim)
        assert (message.status, bytes(message.body)) == (200, b"ok")

    def test_expect(self, client: Http2Client, upstream: Upstream) -> None:
        """The body waits for the server's word."""
        go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
        upstream.script([read_head, send(go_on), _exactly(5), send(OK)])
        expecting = head("POST", "/", ("expect", "100-continue"), ("content-length", "5"))
        stream = client.open(expecting, end=False)
        message = client.message(stream)
        client.run_until(lambda: bool(message.interim))
        assert message.interim == [[(":status", "100")]]
        assert b"\r\nexpect: 100-continue\r\n" in upstream.requests[0].lower()
        client.send_data(stream, b"hello", end=True)
        assert client.response(stream).status == 200

    def test_expectation_that_is_refused(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script([read_head, send(response(b"no", "417 Expectation Failed")), hang])
        expecting = head("POST", "/", ("expect", "100-continue"), ("content-length", "5"))
        stream = client.open(expecting, end=False)
        assert client.response(stream).status == 417

    def test_unknown_expectation(self, client: Http2Client, upstream: Upstream) -> None:
        message = client.request(head("POST", "/", ("expect", "miracles")), b"x")
        assert (message.status, message.value("x-trunkline-reason")) == (417, "unknown_expectation")
        assert upstream.connection_count == 0


def _exactly(size: int) -> Step:
    async def step(connection: Connection) -> None:
        await connection.reader.readexactly(size)

    return step


class TestEarlyAnswers:
    """A server that answers before it has the whole request."""

    def test_the_rest_is_not_wanted(self, client: Http2Client, upstream: Upstream) -> None:
        """RFC 9113 §8.1: the response, then RST_STREAM with NO_ERROR."""
        upstream.script([read_head, send(response(b"no", "413 Content Too Large"))])
        stream = client.open(head("POST"), end=False)
        client.send_data(stream, b"x" * 1_000)
        message = client.response(stream)
        assert (message.status, bytes(message.body), message.ended) == (413, b"no", True)
        assert client.reset_code(stream) == Code.NO_ERROR
        assert client.request().status == 413

    def test_our_own(self, client: Http2Client) -> None:
        stream = client.open(head("POST", "/../.."), end=False)
        message = client.response(stream)
        assert (message.status, message.value("x-trunkline-reason")) == (400, "bad_target")
        assert message.ended


class TestFailures:
    """What comes too late for an answer resets the stream; the connection goes on."""

    @pytest.mark.parametrize(
        ("raw", "reason"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "response_truncated"),
            (CHUNKED + b"a\r\nhalf", "response_truncated"),
            (CHUNKED + b"4\r\nhalf\r\n", "response_truncated"),
            (CHUNKED + b"4\r\nhalf\r\nzz\r\n", "bad_chunk_size"),
        ],
    )
    def test_a_body_that_breaks_off(
        self,
        *,
        program: Program,
        site: Site,
        client: Http2Client,
        upstream: Upstream,
        raw: bytes,
        reason: str,
    ) -> None:
        upstream.script([read_request, send(raw)])
        message = client.response(client.open())
        assert (message.status, bytes(message.body)) == (200, b"half")
        assert (message.reset, message.ended) == (Code.INTERNAL_ERROR, False)
        (entry,) = program.log(site)
        assert (entry["status"], entry["reason"]) == (200, reason)
        upstream.script(answer(OK))
        assert client.request().status == 200

    @pytest.mark.parametrize(
        ("steps", "status", "reason"),
        [
            ([read_request], 502, "upstream_closed"),
            ([read_request, reset], 502, "upstream_reset"),
            ([read_request, send(b"nonsense\r\n\r\n")], 502, "bad_status_line"),
            ([read_request, send(SWITCH)], 502, "unexpected_upgrade"),
        ],
    )
    def test_an_answer_in_its_place(
        self,
        *,
        serve: Serve,
        program: Program,
        upstream: Upstream,
        steps: list[Step],
        status: int,
        reason: str,
    ) -> None:
        site = serve(route="retry.attempts = 1")
        upstream.script(steps)
        with Http2Client(site.port) as client:
            message = client.request()
            assert (message.status, message.value("x-trunkline-reason")) == (status, reason)
            assert message.value("content-type") == "application/json"
            upstream.script(answer(OK))
            assert client.request().status == 200

    def test_no_route(self, serve: Serve) -> None:
        site = serve(route='path = "/there"')
        with Http2Client(site.port) as client:
            message = client.request(head("POST", "/not-there"), b"body")
            assert (message.status, message.value("x-trunkline-reason")) == (404, "route_not_found")
            assert client.request(head("GET", "/there")).status == 200
