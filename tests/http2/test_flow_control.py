"""Flow control from end to end: who is slow slows himself, and fills no memory (RFC 9113 §5.2)."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hyperframe.frame import DataFrame, SettingsFrame, WindowUpdateFrame

from testkit.http2 import Code
from testkit.http2_client import Http2Client, head, until_stuck
from testkit.http2_upstream import Http2Upstream, ServerConnection
from testkit.procfs import rss_bytes
from testkit.site import Program, Site
from testkit.upstream import Connection, Upstream, forever, read_head, response

BIG = b"x" * 4_000_000
WINDOW = SettingsFrame.INITIAL_WINDOW_SIZE
Serve = Callable[..., Site]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Answers /big with 4 MB, takes no bytes of what is sent to /never, else says ok."""

    async def answer(connection: Connection) -> None:
        path = connection.requests[-1].split(b" ", 2)[1]
        if path == b"/never":
            await asyncio.Event().wait()
        if path.startswith(b"/count"):
            await connection.reader.readexactly(int(path.removeprefix(b"/count")))
        connection.writer.write(response(BIG if path == b"/big" else b"ok"))

    with Upstream([forever(read_head, answer)]) as server:
        yield server


class TestDown:
    """Responses."""

    def test_a_stream_that_is_not_read(self, client: Http2Client) -> None:
        """The others on its connection do not notice."""
        slow = client.open(head("GET", "/big"))
        client.endpoint.held.add(slow)
        message = client.message(slow)
        client.run_until(lambda: len(message.body) == 65_535)
        for _ in range(20):
            assert client.request().status == 200
        fast = client.request(head("GET", "/big"))
        assert bytes(fast.body) == BIG
        assert (len(message.body), message.is_over) == (65_535, False)
        client.endpoint.held.clear()
        client.widen(slow, 2**30)
        assert bytes(client.response(slow).body) == BIG

    def test_memory_of_many_that_are_not_read(
        self, program: Program, site: Site, upstream: Upstream
    ) -> None:
        """A hundred times 4 MB, of which the program holds a hundredth."""
        before = rss_bytes(program.trunkline.pid)
        with Http2Client(site.port, settings={WINDOW: 10}) as client:
            streams = [client.open(head("GET", "/big")) for _ in range(100)]
            client.endpoint.held |= set(streams)
            client.run_until(lambda: all(len(client.message(each).body) == 10 for each in streams))
            for _ in range(10):
                client.ping()
            assert rss_bytes(program.trunkline.pid) - before < 25_000_000

    def test_a_connection_that_is_not_read(self, client: Http2Client) -> None:
        """Its window is for all streams; small steps get all through."""
        client.endpoint.held.add(0)
        streams = [client.open(head("GET", "/big")) for _ in range(3)]
        messages = [client.message(stream) for stream in streams]

        def has(size: int) -> Callable[[], bool]:
            return lambda: sum(len(message.body) for message in messages) == size

        client.run_until(has(65_535))
        due = 65_535
        for step in (1, 100, 16_384, 16_385, 100_000):
            due += step
            client.widen(0, step)
            client.run_until(has(due))
        client.endpoint.held.clear()
        client.widen(0, 2**30)
        assert all(bytes(client.response(stream).body) == BIG for stream in streams)

    def test_windows_of_one_byte(self, site: Site) -> None:
        with Http2Client(site.port, settings={WINDOW: 1}) as client:
            message = client.request()
            assert bytes(message.body) == b"ok"

    def test_a_window_that_shrinks(self, client: Http2Client) -> None:
        """RFC 9113 §6.9.2: it may become negative, and nothing is sent until it is not."""
        stream = client.open(head("GET", "/big"))
        message = client.message(stream)
        client.endpoint.held.add(stream)
        client.run_until(lambda: len(message.body) == 65_535)
        client.send(SettingsFrame(settings={WINDOW: 1_000}))
        client.widen(stream, 64_535)
        client.ping()
        assert len(message.body) == 65_535
        client.widen(stream, 7)
        client.run_until(lambda: len(message.body) == 65_542)
        client.send(SettingsFrame(settings={WINDOW: 5_000_000}))
        assert bytes(client.response(stream).body) == BIG

    def test_frames_are_as_large_as_the_client_allows(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes: list[int] = []
        with Http2Client(site.port, settings={WINDOW: 2**20}) as client:
            take = client.endpoint._take_data

            def watch(frame: DataFrame) -> None:
                sizes.append(frame.flow_controlled_length)
                take(frame)

            monkeypatch.setattr(client.endpoint, "_take_data", watch)
            assert bytes(client.request(head("GET", "/big")).body) == BIG
        assert max(sizes) <= 16_384


class TestUp:
    """Requests."""

    def test_a_server_that_takes_nothing(
        self, program: Program, site: Site, client: Http2Client
    ) -> None:
        """Window and buffers are full then; the others go on."""
        before = rss_bytes(program.trunkline.pid)
        stream = client.open(head("POST", "/never"), end=False)
        client.ping()
        assert until_stuck(client, stream) < 12_000_000
        for _ in range(5):
            assert client.request().status == 200
        fields = head("POST", "/count3000000", ("content-length", "3000000"))
        assert client.request(fields, b"y" * 3_000_000).status == 200
        assert rss_bytes(program.trunkline.pid) - before < 4_000_000

    def test_many_that_are_not_taken(self, program: Program, serve: Serve) -> None:
        """What all together may send is bounded by the window of the connection."""
        site = serve('http2.connection_window = "1MB"')
        before = rss_bytes(program.trunkline.pid)
        with Http2Client(site.port) as client:
            for _ in range(20):
                stream = client.open(head("POST", "/never"), end=False)
                client.ping()
                until_stuck(client, stream)
            assert rss_bytes(program.trunkline.pid) - before < 8_000_000

    @pytest.mark.parametrize("window", ["16KB", "64KB", "8MB"])
    def test_windows_of_the_listener(self, serve: Serve, window: str) -> None:
        site = serve(f'http2.stream_window = "{window}"')
        size = {"16KB": 16_384, "64KB": 65_536, "8MB": 8_388_608}[window]
        with Http2Client(site.port) as client:
            assert client.request().status == 200
            announced = client.endpoint.peer_settings.get(WINDOW, 65_535)
            assert announced == size
            fields = head("POST", "/count1000000", ("content-length", "1000000"))
            assert client.request(fields, b"z" * 1_000_000).status == 200

    def test_more_than_the_connection_may_send(self, program: Program, serve: Serve) -> None:
        """RFC 9113 §6.9.1: an error of the connection."""
        site = serve('http2 = { connection_window = "64KB", stream_window = "1MB" }')
        with Http2Client(site.port) as client:
            stream = client.open(head("POST", "/never"), end=False)
            client.ping()
            with suppress(ConnectionError):
                client.send(*(DataFrame(stream, b"x" * 16_384) for _ in range(20)))
            assert client.goaway_code() == Code.FLOW_CONTROL_ERROR


class TestBetweenVersions:
    """The same with a server of HTTP/2, whose streams share a connection."""

    @pytest.fixture
    def upstream2(self) -> Iterator[Http2Upstream]:
        with Http2Upstream(_serve_side_by_side) as server:
            yield server

    def test_a_client_that_does_not_read(
        self, program: Program, site2: Site, upstream2: Http2Upstream
    ) -> None:
        """Holds up its own response, not those of others on the same connection to the server."""
        before = rss_bytes(program.trunkline.pid)
        with Http2Client(site2.port) as slow, Http2Client(site2.port) as fast:
            stream = slow.open(head("GET", "/big"))
            slow.endpoint.held.add(stream)
            slow.run_until(lambda: len(slow.message(stream).body) == 65_535)
            for _ in range(20):
                assert fast.request().status == 200
            assert upstream2.connection_count == 1
            assert rss_bytes(program.trunkline.pid) - before < 4_000_000
            slow.widen(stream, 2**30)
            slow.endpoint.held.clear()
            assert bytes(slow.response(stream).body) == BIG

    def test_a_server_that_writes_before_it_reads(
        self, site2: Site, upstream2: Http2Upstream
    ) -> None:
        """Whatever waits for it: two proxies would wait for each other (RFC 9113 §5.2.2)."""
        writes, reads = threading.Event(), threading.Event()

        async def script(connection: ServerConnection) -> None:
            asked, upload = [await connection.next_head() for _ in range(2)]
            await connection.send(WindowUpdateFrame(0, 2**30))
            await asyncio.to_thread(writes.wait, 10)
            await connection.respond(asked)
            await asyncio.to_thread(reads.wait, 10)
            await connection.until(lambda: upload.message.ended)
            await connection.respond(upload)

        upstream2.settings[WINDOW] = 2**30
        upstream2.script(script)
        with Http2Client(site2.port) as client:
            asked = client.open()
            upload = client.open(head("POST"), end=False)
            upstream2.wait_for_requests(2)
            until_stuck(client, upload)
            writes.set()
            assert client.response(asked).status == 200
            reads.set()
            client.send_data(upload, b"", end=True)
            assert client.response(upload).status == 200


async def _serve_side_by_side(connection: ServerConnection) -> None:
    """As much of each response as the windows allow; /never is not answered."""
    rest: dict[int, bytes] = {}
    while True:
        await connection.step()
        while connection.open:
            request = await connection.next_head()
            path = request.value(":path")
            if path != "/never":
                connection.endpoint.send_head(request.stream, [(":status", "200")], end=False)
                rest[request.stream] = BIG if path == "/big" else b"ok"
        for stream, data in list(rest.items()):
            rest[stream] = data[connection.endpoint.send_data(stream, data, end=True) :]
            if not rest[stream]:
                del rest[stream]
        await connection.flush()
