"""Requests to servers of HTTP/2 and what becomes of their responses, for both kinds of clients."""

from collections.abc import Callable, Iterator

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame, SettingsFrame

from testkit.client import BadResponseError, Client
from testkit.http2 import Code, Message
from testkit.http2_client import Http2Client, head
from testkit.http2_upstream import Http2Upstream, Request, Script, ServerConnection
from testkit.site import Program, Site
from testkit.waiting import wait_until

INITIAL_WINDOW = SettingsFrame.INITIAL_WINDOW_SIZE
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
Serve = Callable[..., Site]
Fields = tuple[tuple[str, str], ...]


@pytest.fixture
def plain(site2: Site) -> Iterator[Client]:
    """A client of HTTP/1.1."""
    with site2.client() as client:
        yield client


def answer(*frames_of: Callable[[int], bytes]) -> Script:
    """Each request gets these bytes, made for its stream."""

    async def script(connection: ServerConnection) -> None:
        while True:
            request = await connection.next_request()
            await connection.send(*(make(request.stream) for make in frames_of))

    return script


def responding(
    *fields: tuple[str, str], body: bytes | None = None, trailers: Fields = (), status: str = "200"
) -> Script:
    """A head, content if it is not None, trailers if there are any."""

    async def script(connection: ServerConnection) -> None:
        while True:
            request = await connection.next_request()
            last = body is None and not trailers
            await connection.send_head(request, (":status", status), *fields, end=last)
            if body is not None:
                await connection.send_data(request, body, end=not trailers)
            if trailers:
                await connection.send_head(request, *trailers, end=True)

    return script


def test_as_many_trailers_as_headers(client2: Http2Client, upstream2: Http2Upstream) -> None:
    """The status of a gRPC call is among them: none may be lost for their number."""
    trailers = tuple((f"x-{number}", "y") for number in range(127))
    upstream2.script(responding(body=b"ok", trailers=(*trailers, ("grpc-status", "0"))))
    assert client2.request().trailers == [*trailers, ("grpc-status", "0")]


class TestRequests:
    """What the server gets."""

    def only(self, upstream2: Http2Upstream) -> Request:
        (request,) = upstream2.requests
        return request

    def test_pseudo_headers_come_first(self, plain: Client, upstream2: Http2Upstream) -> None:
        raw = b"GET /a?b=c HTTP/1.1\r\nX-First: 1\r\nHost: shop.example:81\r\n\r\n"
        assert plain.request(raw).status == 200
        fields = self.only(upstream2).fields
        assert {name for name, _ in fields[:4]} == {":method", ":scheme", ":path", ":authority"}
        assert not any(name.startswith(":") for name, _ in fields[4:])
        request = self.only(upstream2)
        assert request.value(":path") == "/a?b=c"
        assert request.value(":authority") == "shop.example:81"
        assert request.value(":scheme") == "http"
        assert request.message.values("host") == []

    def test_what_is_for_one_connection_is_left_out(
        self, plain: Client, upstream2: Http2Upstream
    ) -> None:
        raw = (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop, TE\r\nX-Hop: 1\r\n"
            b"Keep-Alive: timeout=5\r\nProxy-Connection: y\r\nTE: gzip, trailers\r\nX-End:\r\n\r\n"
        )
        assert plain.request(raw).status == 200
        names = {name for name, _ in self.only(upstream2).fields}
        assert names & {"connection", "x-hop", "keep-alive", "proxy-connection"} == set()
        assert self.only(upstream2).message.values("te") in ([], ["trailers"])
        assert "x-end" in names

    def test_te_trailers(self, client2: Http2Client, upstream2: Http2Upstream) -> None:
        """As gRPC asks for it."""
        assert client2.request(head("GET", "/", ("te", "trailers"))).status == 200
        assert self.only(upstream2).message.values("te") == ["trailers"]

    def test_cookies(self, client2: Http2Client, upstream2: Http2Upstream) -> None:
        """Whole, or in crumbs (RFC 9113 §8.2.3)."""
        crumbs = head("GET", "/", ("cookie", "a=1"), ("cookie", "b=2"))
        assert client2.request(crumbs).status == 200
        assert "; ".join(self.only(upstream2).message.values("cookie")) == "a=1; b=2"

    @pytest.mark.parametrize("framing", ["length", "chunks"])
    def test_bodies(self, plain: Client, upstream2: Http2Upstream, framing: str) -> None:
        body = bytes(range(256)) * 2_000
        line = b"Content-Length: %d" % len(body)
        if framing == "chunks":
            line, body_sent = (
                b"Transfer-Encoding: chunked",
                b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
            )
        else:
            body_sent = body
        assert (
            plain.request(b"PUT / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n%s" % (line, body_sent)).status
            == 200
        )
        message = self.only(upstream2).message
        assert bytes(message.body) == body
        assert message.values("content-length") == ([str(len(body))] if framing == "length" else [])
        assert message.values("transfer-encoding") == []

    def test_no_body(self, plain: Client, upstream2: Http2Upstream) -> None:
        """END_STREAM is on the head: a server may wait for content otherwise."""
        assert plain.request(GET).status == 200
        assert self.only(upstream2).message.body == b""

    def test_trailers_of_http1(self, plain: Client, upstream2: Http2Upstream) -> None:
        raw = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert plain.request(raw + b"2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n").status == 200
        message = self.only(upstream2).message
        assert (bytes(message.body), message.trailers) == (b"hi", [("x-sum", "7")])

    def test_trailers_of_http2(self, client2: Http2Client, upstream2: Http2Upstream) -> None:
        stream = client2.open(head("POST"), end=False)
        client2.send_data(stream, b"hi")
        client2.send_trailers(stream, [("x-sum", "7")])
        assert client2.response(stream).status == 200
        message = self.only(upstream2).message
        assert (bytes(message.body), message.trailers) == (b"hi", [("x-sum", "7")])

    def test_an_http10_client_without_a_host(self, plain: Client, upstream2: Http2Upstream) -> None:
        assert plain.request(b"GET / HTTP/1.0\r\n\r\n").status == 200
        assert self.only(upstream2).value(":authority") != ""

    @pytest.mark.parametrize(
        ("line", "path"),
        [
            (b"GET http://a.example/x?y HTTP/1.1", "/x?y"),
            (b"GET http://a.example HTTP/1.1", "/"),
            (b"OPTIONS * HTTP/1.1", "*"),
        ],
    )
    def test_forms_of_the_target(
        self, plain: Client, upstream2: Http2Upstream, line: bytes, path: str
    ) -> None:
        assert plain.request(line + b"\r\nHost: a.example\r\n\r\n").status == 200
        assert self.only(upstream2).value(":path") == path
        assert self.only(upstream2).value(":authority") == "a.example"

    def test_the_scheme_is_that_of_our_connection(
        self, client2: Http2Client, upstream2: Http2Upstream
    ) -> None:
        """A client that claims another is misdirected (RFC 9110 §7.4)."""
        message = client2.request(head(scheme="https"))
        assert (message.status, message.value("x-trunkline-reason")) == (421, "wrong_scheme")
        assert client2.request().status == 200
        assert self.only(upstream2).value(":scheme") == "http"
        assert self.only(upstream2).value("x-forwarded-proto") == "http"

    def test_trailers_that_are_for_one_connection(
        self, plain: Client, upstream2: Http2Upstream
    ) -> None:
        """They would make the message malformed (RFC 9113 §8.2.2)."""
        raw = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        lines = b"Connection: x\r\nProxy-Connection: x\r\nTE: gzip\r\nX-Sum: 7\r\n\r\n"
        assert plain.request(raw + lines).status in (200, 400)
        names = {name for name, _ in upstream2.requests[0].message.trailers}
        assert names <= {"x-sum"}

    @pytest.mark.parametrize("window", [0, 1, 1_000, 2**31 - 1])
    def test_windows_of_the_server(
        self, plain: Client, upstream2: Http2Upstream, window: int
    ) -> None:
        """An upload waits for them, and goes on."""
        body = b"x" * (5 if window <= 1 else 200_000)

        async def script(connection: ServerConnection) -> None:
            request = await connection.next_head()
            if not window:
                await connection.send(SettingsFrame(settings={INITIAL_WINDOW: 3}))
                await connection.until(lambda: len(request.message.body) == 3)
                await connection.send(SettingsFrame(settings={INITIAL_WINDOW: 100}))
            await connection.until(lambda: request.message.ended)
            await connection.respond(request)

        upstream2.settings[INITIAL_WINDOW] = window
        upstream2.script(script)
        raw = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        assert plain.request(raw).status == 200
        assert bytes(self.only(upstream2).message.body) == body

    def test_a_long_head(self, plain: Client, upstream2: Http2Upstream) -> None:
        """In frames as large as the server takes, with CONTINUATION."""
        upstream2.settings[SettingsFrame.MAX_FRAME_SIZE] = 16_384
        value = bytes(33 + number % 90 for number in range(15_000))
        raw = b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: %s\r\n\r\n" % value
        assert plain.request(raw).status == 200
        assert self.only(upstream2).value("x-long") == value.decode()

    def test_expect(self, plain: Client, upstream2: Http2Upstream) -> None:
        async def script(connection: ServerConnection) -> None:
            request = await connection.next_head()
            await connection.send_head(request, (":status", "100"), end=False)
            await connection.until(lambda: request.message.ended)
            await connection.respond(request)

        upstream2.script(script)
        raw = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        assert plain.request(raw).status == 100
        assert plain.request(b"hello").status == 200
        assert bytes(self.only(upstream2).message.body) == b"hello"


class TestResponsesToHttp1:
    """What a client of HTTP/1.1 gets."""

    def test_with_a_length(self, plain: Client, upstream2: Http2Upstream) -> None:
        upstream2.script(responding(("content-length", "5"), ("x-odd", "1"), body=b"hello"))
        answer = plain.request(GET)
        assert (answer.status, answer.body, answer.value("x-odd")) == (200, b"hello", "1")
        assert answer.values("transfer-encoding") == []
        assert plain.request(GET).status == 200

    def test_without_a_length(self, plain: Client, upstream2: Http2Upstream) -> None:
        body = bytes(range(256)) * 1_000
        upstream2.script(responding(body=body))
        for _ in range(2):
            answer = plain.request(GET)
            assert answer.body == body
            assert answer.values("transfer-encoding") + answer.values("content-length") != []

    def test_an_http10_client(self, plain: Client, upstream2: Http2Upstream) -> None:
        """Knows no chunks: the end is the connection's."""
        upstream2.script(responding(body=b"x" * 100_000, trailers=(("x-sum", "1"),)))
        answer = plain.request(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        assert answer.body == b"x" * 100_000
        assert answer.values("transfer-encoding") == []

    def test_trailers(self, plain: Client, upstream2: Http2Upstream) -> None:
        upstream2.script(responding(body=b"hello", trailers=(("x-sum", "1"), ("x-more", "2"))))
        answer = plain.request(GET)
        assert answer.body == b"hello"
        assert answer.trailers == [("x-sum", "1"), ("x-more", "2")]

    @pytest.mark.parametrize("status", ["200", "204", "304"])
    def test_no_content(self, plain: Client, upstream2: Http2Upstream, status: str) -> None:
        upstream2.script(responding(status=status))
        for _ in range(2):
            answer = plain.request(GET)
            assert (answer.status, answer.body) == (int(status), b"")

    def test_head(self, plain: Client, upstream2: Http2Upstream) -> None:
        upstream2.script(responding(("content-length", "5")))
        for _ in range(2):
            answer = plain.request(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD")
            assert (answer.value("content-length"), answer.body) == ("5", b"")

    def test_early_hints(self, plain: Client, upstream2: Http2Upstream) -> None:
        async def script(connection: ServerConnection) -> None:
            request = await connection.next_request()
            await connection.send_head(request, (":status", "103"), ("link", "</a>"), end=False)
            await connection.respond(request)

        upstream2.script(script)
        hints = plain.request(GET)
        assert (hints.status, hints.value("link")) == (103, "</a>")
        assert plain.read_response().status == 200

    def test_cookies(self, plain: Client, upstream2: Http2Upstream) -> None:
        upstream2.script(responding(("set-cookie", "a=1"), ("set-cookie", "b=2"), body=b"x"))
        assert plain.request(GET).values("set-cookie") == ["a=1", "b=2"]


class TestEarlyAnswers:
    """RFC 9113 §8.1: a server may answer and reset with NO_ERROR before the request is over."""

    @pytest.fixture
    def upstream2(self) -> Iterator[Http2Upstream]:
        async def script(connection: ServerConnection) -> None:
            while True:
                request = await connection.next_head()
                while not request.message.body:
                    await connection.step()
                await connection.respond(request, b"too much", status=413)
                await connection.send(RstStreamFrame(request.stream, Code.NO_ERROR))

        with Http2Upstream(script) as server:
            yield server

    def test_to_http1(self, plain: Client) -> None:
        """The response counts, the reset is no failure."""
        plain.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 1_000)
        answer = plain.read_response()
        assert (answer.status, answer.body) == (413, b"too much")

    def test_to_http2(self, program: Program, site2: Site, client2: Http2Client) -> None:
        for _ in range(3):
            stream = client2.open(head("POST"), end=False)
            client2.send_data(stream, b"x" * 1_000)
            message = client2.response(stream)
            assert (message.status, bytes(message.body)) == (413, b"too much")
            assert client2.reset_code(stream) == Code.NO_ERROR
        assert program.failures(site2) == 0


class TestResponsesToHttp2:
    """From stream to stream."""

    def test_everything(self, client2: Http2Client, upstream2: Http2Upstream) -> None:
        async def script(connection: ServerConnection) -> None:
            request = await connection.next_request()
            await connection.send_head(request, (":status", "103"), ("link", "</a>"), end=False)
            await connection.send_head(request, (":status", "201"), ("x", "y"), end=False)
            await connection.send_data(request, b"z" * 300_000, end=False)
            await connection.send_head(request, ("x-sum", "1"), end=True)
            await connection.until(lambda: False)

        upstream2.script(script)
        message = client2.request(head("POST"), b"w" * 300_000)
        assert [dict(fields) for fields in message.interim] == [{":status": "103", "link": "</a>"}]
        assert (message.status, message.value("x")) == (201, "y")
        assert bytes(message.body) == b"z" * 300_000
        assert message.trailers == [("x-sum", "1")]
        assert bytes(upstream2.requests[0].message.body) == b"w" * 300_000

    def test_trailers_alone(self, client2: Http2Client, upstream2: Http2Upstream) -> None:
        """What gRPC answers when it fails at once has one head, with END_STREAM."""
        upstream2.script(responding(("grpc-status", "5")))
        message = client2.request()
        assert (message.value("grpc-status"), message.ended) == ("5", True)


def head_frame(*fields: tuple[str, str], end: bool = True) -> Callable[[int], bytes]:
    """HEADERS without the dynamic table."""
    literal = b"".join(
        b"\x00%c%s%c%s" % (len(name), name.encode(), len(value), value.encode())
        for name, value in fields
    )
    flags = ["END_HEADERS", *(["END_STREAM"] if end else [])]
    return lambda stream: HeadersFrame(stream, literal, flags=flags).serialize()


def data_frame(data: bytes, end: bool = True) -> Callable[[int], bytes]:
    flags = ["END_STREAM"] if end else []
    return lambda stream: DataFrame(stream, data, flags=flags).serialize()


OK = (":status", "200")
MALFORMED = {
    "no status": [head_frame(("x", "y"))],
    "bad status": [head_frame((":status", "20x"))],
    "two statuses": [head_frame(OK, OK)],
    "late status": [head_frame(("x", "y"), OK)],
    "pseudo-header of a request": [head_frame(OK, (":path", "/"))],
    "upper case": [head_frame(OK, ("X-Odd", "1"))],
    "connection": [head_frame(OK, ("connection", "close"))],
    "a line in a value": [head_frame(OK, ("x", "a\r\nb: c"))],
    "101": [head_frame((":status", "101"))],
    "103 with the end": [head_frame((":status", "103"))],
    "data first": [data_frame(b"x")],
    "length without content": [head_frame(OK, ("content-length", "5"))],
    "two lengths": [head_frame(OK, ("content-length", "5"), ("content-length", "6"), end=False)],
}


class TestMalformed:
    """The stream is in error, the client gets 502, the connection goes on."""

    @pytest.mark.parametrize("frames", MALFORMED.values(), ids=MALFORMED)
    def test_heads(
        self,
        *,
        serve2: Serve,
        program: Program,
        upstream2: Http2Upstream,
        frames: list[Callable[[int], bytes]],
    ) -> None:
        resets: list[Message] = []

        async def script(connection: ServerConnection) -> None:
            request = await connection.next_request()
            await connection.send(*(make(request.stream) for make in frames))
            await connection.until(lambda: request.message.reset is not None)
            resets.append(request.message)
            await connection.respond(await connection.next_request())

        upstream2.script(script)
        site = serve2(route="retry.attempts = 1")
        with Http2Client(site.port) as client:
            assert client.request().status == 502
            assert client.request().status == 200
        assert [message.reset for message in resets] == [Code.PROTOCOL_ERROR]
        assert upstream2.connection_count == 1
        wait_until(lambda: program.failures(site) == 1, timeout_s=5, what="a failure")

    @pytest.mark.parametrize(
        "frames",
        [
            [head_frame(OK, ("content-length", "3"), end=False), data_frame(b"hello")],
            [head_frame(OK, ("content-length", "9"), end=False), data_frame(b"hello")],
            [
                head_frame(OK, end=False),
                data_frame(b"hello", end=False),
                head_frame((":status", "200")),
            ],
            [
                head_frame(OK, end=False),
                data_frame(b"hello", end=False),
                lambda stream: RstStreamFrame(stream, Code.INTERNAL_ERROR).serialize(),
            ],
        ],
        ids=["too much", "too little", "bad trailers", "reset"],
    )
    def test_bodies(
        self,
        *,
        serve2: Serve,
        upstream2: Http2Upstream,
        frames: list[Callable[[int], bytes]],
    ) -> None:
        """The response had begun: it is cut, so that nobody takes it for whole."""
        upstream2.script(answer(*frames))
        site = serve2(route="retry.attempts = 1")
        with Http2Client(site.port) as client:
            message = client.request()
            assert (message.status, message.ended) == (200, False) or message.status == 502
            assert message.ended or message.reset == Code.INTERNAL_ERROR
        with site.client() as plain:
            plain.send(GET)
            try:
                assert plain.read_response().status == 502
            except (BadResponseError, ConnectionResetError):
                assert plain.is_closed()
        assert upstream2.connection_count == 1

    def test_a_head_that_is_too_large(
        self, serve2: Serve, program: Program, upstream2: Http2Upstream
    ) -> None:
        upstream2.script(responding(("x", "y" * 40_000)), responding())
        site = serve2(route="retry.attempts = 1")
        with site.client() as plain:
            assert plain.request(GET).status == 502
        wait_until(lambda: program.failures(site) == 1, timeout_s=5, what="a failure")

    def test_interim_responses_without_end(
        self, serve2: Serve, program: Program, upstream2: Http2Upstream
    ) -> None:
        """As many as a server likes, to a client that does not read: they are bounded."""

        async def script(connection: ServerConnection) -> None:
            request = await connection.next_request()
            for _ in range(50):
                await connection.send_head(request, (":status", "103"), ("x", "y"), end=False)
            await connection.respond(request)

        upstream2.script(script)
        site = serve2(route="retry.attempts = 1")
        with Http2Client(site.port) as client:
            message = client.request()
        assert message.status in (200, 502)

    @pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 100])
    def test_a_server_that_speaks_something_else(
        self, serve2: Serve, program: Program, upstream2: Http2Upstream, said: bytes
    ) -> None:
        async def script(connection: ServerConnection) -> None:
            connection.endpoint.take_output()
            connection.writer.write(said)
            await connection.reader.read()

        upstream2.script(script)
        site = serve2(route="retry.attempts = 1")
        assert site.get().status == 502
        wait_until(lambda: program.failures(site) == 1, timeout_s=5, what="a failure")
