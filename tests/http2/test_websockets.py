"""WebSocket over streams (RFC 8441): to servers of both versions, from clients of both."""

import base64
from collections.abc import Callable, Iterator
from threading import Thread

import pytest
from hyperframe.frame import SettingsFrame
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side
from websockets.sync.client import connect
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from testkit.http2 import Code
from testkit.http2_client import Http2Client, head
from testkit.http2_upstream import Http2Upstream
from testkit.http2_upstream import ServerConnection as Http2Connection
from testkit.site import Program, Site
from testkit.upstream import Upstream, forever, hang, read_head, read_request, response, send
from testkit.waiting import wait_until

Serve = Callable[..., Site]
ASK = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "http"),
    (":path", "/chat?room=1"),
    (":authority", "a.example"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-protocol", "chat, superchat"),
    ("origin", "http://a.example"),
]
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: whatever\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
)


OUT = 'outlier = { consecutive_failures = 3, base_ejection = "30s" }'


class StreamSocket:
    """A WebSocket client on a stream.

    Args:
        client: The connection.
        fields: The extended CONNECT.
    """

    def __init__(self, client: Http2Client, fields: list[tuple[str, str]] = ASK) -> None:
        self._client = client
        self.stream = client.open(fields, end=False)
        self.message = client.message(self.stream)
        client.run_until(lambda: bool(self.message.fields) or self.message.is_over)
        self._protocol = Protocol(Side.CLIENT)
        self._taken = 0

    def send(self, opcode: Opcode, data: bytes) -> None:
        """One frame."""
        frame = Frame(opcode, data).serialize(mask=True)
        self._client.send_data(self.stream, frame)

    def receive(self) -> Frame:
        """The next frame."""
        frames: list[Frame] = []
        while not frames:
            fresh = bytes(self.message.body[self._taken :])
            if not fresh:
                self._client.run_until(lambda: len(self.message.body) > self._taken)
                continue
            self._taken += len(fresh)
            self._protocol.receive_data(fresh)
            frames += [each for each in self._protocol.events_received() if isinstance(each, Frame)]
        (frame,) = frames
        return frame


def _answer(connection: ServerConnection) -> None:
    """Each message back; ``bye`` ends it from this side."""
    for message in connection:
        if message == "bye":
            connection.close(4001, "as you wish")
        else:
            connection.send(message)


@pytest.fixture
def websocket_server() -> Iterator[Server]:
    protocols = [Subprotocol("superchat")]
    with serve(_answer, "127.0.0.1", 0, subprotocols=protocols, compression=None) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def real(program: Program, websocket_server: Server) -> Iterator[Http2Client]:
    """A connection to a site before a real WebSocket server of HTTP/1.1."""
    site = Site([websocket_server.socket.getsockname()[1]])
    program.serve(site)
    with Http2Client(site.port) as client:
        yield client


class TestHttp2ToHttp1:
    def test_messages_of_all_sizes(self, real: Http2Client) -> None:
        websocket = StreamSocket(real)
        assert websocket.message.status == 200
        assert websocket.message.value("sec-websocket-protocol") == "superchat"
        for message in (b"", b"hi", b"x" * 125, b"x" * 126, b"x" * 70_000, b"x" * 1_000_000):
            websocket.send(Opcode.TEXT, message)
            assert bytes(websocket.receive().data) == message

    def test_ping_and_close(self, real: Http2Client) -> None:
        websocket = StreamSocket(real)
        websocket.send(Opcode.PING, b"there?")
        pong = websocket.receive()
        assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"there?")
        websocket.send(Opcode.TEXT, b"bye")
        close = websocket.receive()
        assert (close.opcode, bytes(close.data)[2:]) == (Opcode.CLOSE, b"as you wish")
        websocket.send(Opcode.CLOSE, bytes(close.data))
        real.run_until(lambda: websocket.message.is_over)
        assert websocket.message.ended

    def test_many_on_one_connection(self, real: Http2Client) -> None:
        websockets = [StreamSocket(real) for _ in range(20)]
        for number, websocket in enumerate(websockets):
            websocket.send(Opcode.TEXT, b"%d" % number)
        assert [bytes(websocket.receive().data) for websocket in websockets] == [
            b"%d" % number for number in range(20)
        ]

    def test_it_is_offered(self, client: Http2Client) -> None:
        client.ping()
        assert client.endpoint.peer_settings[SettingsFrame.ENABLE_CONNECT_PROTOCOL] == 1

    def test_what_the_server_is_told(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script([read_head, send(SWITCH), hang])
        StreamSocket(client)
        lines = upstream.requests[0].decode().split("\r\n")
        assert lines[0] == "GET /chat?room=1 HTTP/1.1"
        fields = {
            name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:-2])
        }
        assert fields["host"] == "a.example"
        assert fields["connection"].lower() == "upgrade"
        assert fields["upgrade"] == "websocket"
        assert fields["sec-websocket-version"] == "13"
        assert fields["sec-websocket-protocol"] == "chat, superchat"
        assert len(base64.b64decode(fields["sec-websocket-key"])) == 16
        assert fields.keys() & {"transfer-encoding", "content-length"} == set()

    def test_what_the_client_is_told(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script([read_head, send(SWITCH), hang])
        message = StreamSocket(client).message
        names = {name for name, _ in message.fields}
        assert message.status == 200
        assert message.value("sec-websocket-protocol") == "chat"
        # RFC 8441 §5, RFC 9113 §8.2.2.
        assert names & {"sec-websocket-accept", "connection", "upgrade"} == set()

    def test_bytes_that_come_with_the_switch(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script([read_head, send(SWITCH + b"early"), send(b" and late")])
        message = client.response(client.open(ASK, end=False))
        assert (bytes(message.body), message.ended) == (b"early and late", True)

    def test_refused_by_the_server(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script([read_request, send(response(b"no", "403 Forbidden")), hang])
        message = client.response(client.open(ASK, end=False))
        assert (message.status, bytes(message.body), message.ended) == (403, b"no", True)

    def test_a_plain_answer_is_no_tunnel(self, client: Http2Client, upstream: Upstream) -> None:
        """A 200 without a switch would look like one to the client: it is refused."""
        upstream.script([read_request, send(response(b"a page")), hang])
        message = client.response(client.open(ASK, end=False))
        assert not 200 <= message.status < 300

    def test_asking_a_page_ejects_no_server(
        self, program: Program, serve: Serve, upstream: Upstream
    ) -> None:
        """Any client can."""
        upstream.script([forever(read_request, send(response(b"a page")))])
        site = serve(pool=OUT)
        with Http2Client(site.port) as client:
            for _ in range(4):
                assert client.response(client.open(ASK, end=False)).status == 502
            assert client.request().status == 200
        program.wait_for_failures(site, "upgrade_ignored", 4)
        (told,) = program.servers(site)
        assert (told["state"], told["failures"]) == ("eligible", 0)

    def test_other_protocols(self, client: Http2Client, upstream: Upstream) -> None:
        """RFC 9220 §3, RFC 8441 §5.1: what we do not know is 501."""
        odd = [(name, "odd" if name == ":protocol" else value) for name, value in ASK]
        message = client.response(client.open(odd, end=False))
        assert (message.status, message.value("x-trunkline-reason")) == (501, "unknown_protocol")
        assert upstream.connection_count == 0

    def test_not_offered(self, serve: Serve, upstream: Upstream) -> None:
        site = serve("http2.extended_connect = false")
        with Http2Client(site.port) as client:
            client.ping()
            assert SettingsFrame.ENABLE_CONNECT_PROTOCOL not in client.endpoint.peer_settings
            message = client.response(client.open(ASK, end=False))
            assert message.reset == Code.PROTOCOL_ERROR
        assert upstream.connection_count == 0

    def test_an_upgrade_field_is_none(self, client: Http2Client, upstream: Upstream) -> None:
        """That is how HTTP/1.1 asks for it."""
        message = client.request(head("GET", "/", ("upgrade", "websocket")))
        assert message.reset == Code.PROTOCOL_ERROR
        assert upstream.connection_count == 0

    def test_a_client_that_leaves(self, client: Http2Client, upstream: Upstream) -> None:
        upstream.script([read_head, send(SWITCH), hang])
        websocket = StreamSocket(client)
        client.reset(websocket.stream, Code.CANCEL)
        wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the server to be told")


async def echo_messages(connection: Http2Connection) -> None:
    """A WebSocket server on a stream."""
    request = await connection.next_head()
    protocol, taken = Protocol(Side.SERVER), 0
    agreed = ("sec-websocket-protocol", "chat")
    await connection.send_head(request, (":status", "200"), agreed, end=False)
    while not request.message.is_over:
        protocol.receive_data(bytes(request.message.body[taken:]))
        taken = len(request.message.body)
        for frame in protocol.events_received():
            assert isinstance(frame, Frame)
            if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
                back = Frame(frame.opcode, frame.data).serialize(mask=False)
                await connection.send_data(request, back, end=False)
        if reply := b"".join(protocol.data_to_send()):
            await connection.send_data(request, reply, end=protocol.close_expected())
        await connection.step()


class TestToHttp2:
    """Before a server of HTTP/2 that has announced it."""

    @pytest.fixture
    def upstream2(self) -> Iterator[Http2Upstream]:
        announced = {SettingsFrame.ENABLE_CONNECT_PROTOCOL: 1}
        with Http2Upstream(echo_messages, settings=announced) as server:
            yield server

    def test_from_http1(self, site2: Site, upstream2: Http2Upstream) -> None:
        """The client checks Sec-WebSocket-Accept, which only we can know."""
        url = f"ws://127.0.0.1:{site2.port}/chat?room=1"
        protocols = [Subprotocol("chat"), Subprotocol("superchat")]
        with connect(url, subprotocols=protocols, compression=None) as websocket:
            assert websocket.subprotocol == "chat"
            for message in ("", "hi", "é" * 1_000, b"\x00" * 70_000, b"x" * 500_000):
                websocket.send(message)
                assert websocket.recv(timeout=5) == message
        (request,) = upstream2.requests
        assert request.value(":method") == "CONNECT"
        assert request.value(":protocol") == "websocket"
        assert request.value(":path") == "/chat?room=1"
        assert request.value("sec-websocket-version") == "13"
        names = {name for name, _ in request.fields}
        assert names & {"sec-websocket-key", "connection", "upgrade", "host"} == set()

    def test_from_http2(self, client2: Http2Client, upstream2: Http2Upstream) -> None:
        websocket = StreamSocket(client2)
        assert websocket.message.status == 200
        for message in (b"hi", b"x" * 70_000):
            websocket.send(Opcode.TEXT, message)
            assert bytes(websocket.receive().data) == message
        (request,) = upstream2.requests
        assert request.value(":protocol") == "websocket"
        assert "sec-websocket-key" not in {name for name, _ in request.fields}

    def test_refused_by_the_server(self, site2: Site, upstream2: Http2Upstream) -> None:
        async def refuse(connection: Http2Connection) -> None:
            request = await connection.next_head()
            await connection.respond(request, b"no", status=403)
            await connection.until(lambda: False)

        upstream2.script(refuse)
        with pytest.raises(InvalidStatus, match="HTTP 403"):
            connect(f"ws://127.0.0.1:{site2.port}/")


def test_a_server_that_has_not_announced_it(site2: Site, upstream2: Http2Upstream) -> None:
    """RFC 8441 §3: it must not be asked."""
    assert site2.get().status == 200
    with pytest.raises(InvalidStatus, match="HTTP 50"):
        connect(f"ws://127.0.0.1:{site2.port}/", open_timeout=2)
    assert [request.value(":method") for request in upstream2.requests] == ["GET"]


def test_asking_it_nevertheless_ejects_it_not(
    program: Program, serve2: Serve, upstream2: Http2Upstream
) -> None:
    site = serve2(pool=OUT, route="retry.attempts = 1")
    for _ in range(4):
        with pytest.raises(InvalidStatus, match="HTTP 502"):
            connect(f"ws://127.0.0.1:{site.port}/", open_timeout=2)
    program.wait_for_failures(site, "upstream_no_websocket", 4)
    assert program.blamed(site, "upstream_no_websocket") == "gateway"
    (told,) = program.servers(site)
    assert (told["state"], told["failures"]) == ("eligible", 0)
    assert site.get().status == 200
    assert [request.value(":method") for request in upstream2.requests] == ["GET"]
