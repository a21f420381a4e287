"""Floods, cheap to send and dear to serve: each has a limit, a name in the metrics, an error code.

The program, its other connections and its memory do not suffer.
"""

import select
from collections.abc import Callable, Iterator

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from testkit.http2 import Code, raw_frame
from testkit.http2_client import Http2Client, head
from testkit.procfs import fd_count, rss_bytes
from testkit.site import Program, Site
from testkit.upstream import OK, Connection, Upstream, forever, read_request, send
from testkit.waiting import wait_until

# Far beyond every limit (native/crates/http2/src/limits.rs); the flood is over long before.
MOST = 60_000
# GET http://a.example/ without an entry of the dynamic table.
PLAIN_GET = b"\x82\x86\x84\x01\x09a.example"
Flood = Callable[[Http2Client], Iterator[bytes]]


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    """Never answers /wait."""

    async def answer(connection: Connection) -> None:
        if not connection.requests[-1].startswith((b"GET /wait", b"POST /wait")):
            await send(OK)(connection)

    with Upstream([forever(read_request, answer)]) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def shared(program: Program, server: Upstream) -> Site:
    site = Site([server.port])
    program.serve(site)
    return site


@pytest.fixture
def bystander(shared: Site) -> Iterator[Http2Client]:
    """Was there before, and has to be served during and after."""
    with Http2Client(shared.port) as client:
        assert client.request().status == 200
        yield client
        assert client.request().status == 200
        assert client.endpoint.goaway is None


def block(client: Http2Client, method: str = "GET", path: str = "/") -> bytes:
    return client.endpoint.encoder.encode(head(method, path))


def repeated(*frames: Frame) -> Flood:
    return lambda _: iter([b"".join(frame.serialize() for frame in frames)] * MOST)


def rapid_reset(client: Http2Client) -> Iterator[bytes]:
    """CVE-2023-44487: asked for and cancelled at once."""
    fields = block(client, path="/wait")
    for stream in range(1, 2 * MOST, 2):
        yield HeadersFrame(stream, fields, flags=["END_HEADERS", "END_STREAM"]).serialize()
        yield RstStreamFrame(stream, Code.CANCEL).serialize()


def made_you_reset(error: Callable[[int], bytes]) -> Flood:
    """CVE-2025-8671: a stream error makes us cancel what we have begun."""

    def flood(client: Http2Client) -> Iterator[bytes]:
        fields = block(client, "POST", "/wait")
        for stream in range(1, 2 * MOST, 2):
            yield HeadersFrame(stream, fields, flags=["END_HEADERS"]).serialize() + error(stream)

    return flood


def malformed_heads(client: Http2Client) -> Iterator[bytes]:
    fields = client.endpoint.encoder.encode([("x", "y")])
    for stream in range(1, 2 * MOST, 2):
        yield HeadersFrame(stream, fields, flags=["END_HEADERS", "END_STREAM"]).serialize()


def too_many_streams(client: Http2Client) -> Iterator[bytes]:
    """Beyond the limit that we have announced: each is refused."""
    fields = block(client, path="/wait")
    for stream in range(1, 2 * MOST, 2):
        yield HeadersFrame(stream, fields, flags=["END_HEADERS", "END_STREAM"]).serialize()


def continuations(payload: bytes) -> Flood:
    """CVE-2024-27316: a block without end."""

    def flood(client: Http2Client) -> Iterator[bytes]:
        yield HeadersFrame(1, block(client)).serialize()
        yield from [ContinuationFrame(1, payload).serialize()] * MOST

    return flood


def on_a_stream(*frames: Frame | bytes) -> Flood:
    """On stream 1, which is open."""

    def flood(client: Http2Client) -> Iterator[bytes]:
        yield HeadersFrame(1, block(client, "POST", "/wait"), flags=["END_HEADERS"]).serialize()
        pieces = [frame if isinstance(frame, bytes) else frame.serialize() for frame in frames]
        yield from [b"".join(pieces)] * MOST

    return flood


def on_a_finished_stream(client: Http2Client) -> Iterator[bytes]:
    """WINDOW_UPDATE for what is over is legal, and pointless."""
    assert client.response(client.open()).ended
    yield from [WindowUpdateFrame(1, 1).serialize()] * MOST


FLOODS: list[tuple[str, Flood, str]] = [
    ("rapid reset", rapid_reset, "reset_flood"),
    (
        "reset by WINDOW_UPDATE of 0",
        made_you_reset(lambda s: raw_frame(8, bytes(4), stream=s)),
        "reset_flood",
    ),
    (
        "reset by window overflow",
        made_you_reset(lambda s: WindowUpdateFrame(s, 2**31 - 1).serialize()),
        "reset_flood",
    ),
    (
        "reset by PRIORITY",
        made_you_reset(lambda s: raw_frame(2, bytes(4), stream=s)),
        "reset_flood",
    ),
    (
        "reset by HEADERS",
        made_you_reset(lambda s: raw_frame(1, b"\x82", flags=4, stream=s)),
        "reset_flood",
    ),
    ("malformed heads", malformed_heads, "reset_flood"),
    ("too many streams", too_many_streams, "reset_flood"),
    ("CONTINUATION", continuations(b"\x00\x01x\x01y"), "continuation_flood"),
    ("empty CONTINUATION", continuations(b""), "continuation_flood"),
    ("large CONTINUATION", continuations(b"\x00\x01x\x7f\x81\x7f" + b"y" * 16_000), ""),
    ("SETTINGS", repeated(SettingsFrame()), "settings_flood"),
    (
        "SETTINGS that change",
        repeated(SettingsFrame(settings={4: 1}), SettingsFrame(settings={4: 2})),
        "settings_flood",
    ),
    ("SETTINGS ACK", repeated(SettingsFrame(flags=["ACK"])), "ignored_frame_flood"),
    ("PING", repeated(PingFrame(0, b"12345678")), "ping_flood"),
    ("PING ACK", repeated(PingFrame(0, b"12345678", flags=["ACK"])), "ping_flood"),
    ("empty DATA", on_a_stream(DataFrame(1)), "empty_data_flood"),
    (
        "DATA of padding",
        on_a_stream(DataFrame(1, b"", pad_length=1, flags=["PADDED"])),
        "empty_data_flood",
    ),
    ("WINDOW_UPDATE", repeated(WindowUpdateFrame(0, 1)), "window_update_flood"),
    ("WINDOW_UPDATE of a stream", on_a_stream(WindowUpdateFrame(1, 1)), "window_update_flood"),
    ("WINDOW_UPDATE, finished", on_a_finished_stream, "window_update_flood"),
    ("PRIORITY", repeated(PriorityFrame(1)), "priority_flood"),
    ("unknown frames", lambda _: iter([raw_frame(0x77)] * MOST), "ignored_frame_flood"),
]


def attack(client: Http2Client, flood: Iterator[bytes]) -> None:
    """Send until the peer has had enough, reading what it says meanwhile."""
    pieces: list[bytes] = []
    for number, piece in enumerate(flood):
        pieces.append(piece)
        if number % 100:
            continue
        try:
            client.socket.sendall(b"".join(pieces))
        except ConnectionError:
            return
        pieces.clear()
        if select.select([client.socket], [], [], 0)[0] and not _listen(client):
            return


def _listen(client: Http2Client) -> bool:
    """Read what is there without answering; False at the end or once there is GOAWAY."""
    try:
        client.endpoint.receive(client.socket.recv(65_536))
    except ConnectionError:
        return False
    return client.endpoint.goaway is None


@pytest.mark.parametrize(
    ("flood", "reason"), [row[1:] for row in FLOODS], ids=[row[0] for row in FLOODS]
)
def test_floods(
    *, program: Program, shared: Site, bystander: Http2Client, flood: Flood, reason: str
) -> None:
    total, named = program.failures(shared), program.failures(shared, reason=reason)
    memory = rss_bytes(program.trunkline.pid)
    with Http2Client(shared.port) as client:
        attack(client, flood(client))
        assert client.goaway_code() == Code.ENHANCE_YOUR_CALM
    wait_until(lambda: program.failures(shared) > total, timeout_s=5, what="a failure")
    if reason:
        wait_until(
            lambda: program.failures(shared, reason=reason) > named, timeout_s=5, what=reason
        )
    assert program.failures(shared, reason=reason) <= named + 1
    assert rss_bytes(program.trunkline.pid) - memory < 8_000_000
    assert bystander.request().status == 200


def test_cancelled_requests_are_not_kept(
    program: Program, shared: Site, server: Upstream, bystander: Http2Client
) -> None:
    """After rapid resets nothing of them is left at the server."""
    pid, files = program.trunkline.pid, fd_count(program.trunkline.pid)
    for _ in range(3):
        with Http2Client(shared.port) as client:
            attack(client, rapid_reset(client))
    wait_until(lambda: fd_count(pid) <= files + 1, timeout_s=5, what="the connections to end")
    wait_until(
        lambda: program.servers(shared)[0]["active"] == 0, timeout_s=5, what="the requests to end"
    )


@pytest.mark.parametrize(
    "frame",
    [PingFrame(0, b"12345678"), SettingsFrame()],
    ids=["PING", "SETTINGS"],
)
def test_answers_that_are_not_read(
    program: Program, shared: Site, bystander: Http2Client, frame: Frame
) -> None:
    """CVE-2019-9512, -9515: they do not pile up."""
    memory = rss_bytes(program.trunkline.pid)
    with Http2Client(shared.port, receive_buffer_bytes=4_096) as client:
        client.socket.settimeout(1)
        try:
            while True:
                client.send(*([frame.serialize()] * 1_000))
        except (ConnectionError, TimeoutError):
            pass
    assert rss_bytes(program.trunkline.pid) - memory < 4_000_000


class TestHeads:
    """Field lists that are too large: 431 first, then the end of the connection."""

    def test_over_the_limit(self, program: Program, shared: Site, bystander: Http2Client) -> None:
        with Http2Client(shared.port) as client:
            for name, value in (("x", "y" * 20_000), ("y" * 20_000, "x")):
                message = client.request(head("GET", "/", (name, value)))
                assert message.status == 431
                assert message.ended
            assert client.request().status == 200
            assert client.endpoint.goaway is None
        wait_until(
            lambda: program.failures(shared, reason="head_too_large") >= 2,
            timeout_s=5,
            what="the failures",
        )

    def test_too_many_fields(self, program: Program, shared: Site) -> None:
        with Http2Client(shared.port) as client:
            more = [(f"x-{number}", "") for number in range(130)]
            assert client.request(head("GET", "/", *more)).status == 431
            assert client.request().status == 200

    def test_the_announced_limit_can_be_used(self, shared: Site, server: Upstream) -> None:
        """RFC 9113 §6.5.2: bytes of names and values, and 32 for each field."""
        with Http2Client(shared.port) as client:
            assert client.request().status == 200
            limit = client.endpoint.peer_settings[SettingsFrame.MAX_HEADER_LIST_SIZE]
            used = sum(len(name) + len(value) + 32 for name, value in head())
            rest = limit - used - 33
            assert client.request(head("GET", "/", ("x", "y" * rest))).status == 200
            assert client.request(head("GET", "/", ("x", "y" * (rest + 1)))).status == 431

    def test_a_long_path(self, shared: Site) -> None:
        with Http2Client(shared.port) as client:
            assert client.request(head("GET", "/" + "x" * 9_000)).status == 414
            assert client.request().status == 200

    def test_limits_of_the_listener(self, program: Program, shared: Site, server: Upstream) -> None:
        site = Site([server.port], listener='limits.head = "1KB"\nlimits.headers = 5')
        program.serve(site, shared)
        with Http2Client(site.port) as client:
            assert client.request(head("GET", "/", ("x", "y" * 500))).status == 200
            assert client.request(head("GET", "/", ("x", "y" * 1_500))).status == 431
            five = [(f"x-{number}", "y") for number in range(5)]
            assert client.request(head("GET", "/", *five)).status == 200
            assert client.request(head("GET", "/", *five, ("z", ""))).status == 431

    def test_an_hpack_bomb(self, program: Program, shared: Site, bystander: Http2Client) -> None:
        """One entry of 4 000 bytes in the table, named 16 000 times, one byte each: 64 MB."""
        memory = rss_bytes(program.trunkline.pid)
        with Http2Client(shared.port) as client:
            entry = b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4_000
            fields = PLAIN_GET + entry + b"\xbe" * 12_000
            client.send(HeadersFrame(1, fields[:16_384], flags=["END_HEADERS", "END_STREAM"]))
            assert client.goaway_code() == Code.ENHANCE_YOUR_CALM
        wait_until(
            lambda: program.failures(shared, reason="header_list_too_large") > 0,
            timeout_s=5,
            what="a failure",
        )
        assert rss_bytes(program.trunkline.pid) - memory < 4_000_000

    def test_a_small_bomb(self, shared: Site) -> None:
        """Over the limit, but not by much: 431, and the table stays in step."""
        with Http2Client(shared.port) as client:
            entry = b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4_000
            fields = PLAIN_GET + entry + b"\xbe" * 10
            client.send(HeadersFrame(1, fields, flags=["END_HEADERS", "END_STREAM"]))
            client.next_stream()
            assert client.response(1).status == 431
            client.send(HeadersFrame(3, PLAIN_GET + b"\xbe", flags=["END_HEADERS", "END_STREAM"]))
            client.next_stream()
            assert client.response(3).status == 200

    def test_large_trailers(self, shared: Site) -> None:
        with Http2Client(shared.port) as client:
            stream = client.open(head("POST"), end=False)
            client.send_data(stream, b"x")
            client.send_trailers(stream, [("x", "y" * 25_000)])
            message = client.response(stream)
            assert message.reset is not None or message.status == 431
            assert client.request().status == 200
