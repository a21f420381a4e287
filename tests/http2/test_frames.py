"""Frames that must not come, or not so: which error, of the stream or of the connection (RFC 9113).

After each the program serves on; the reason is counted.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from testkit.http2 import PREFACE, Code, raw_frame
from testkit.http2_client import Http2Client, head
from testkit.site import Program, Site
from testkit.upstream import OK, Connection, Upstream, forever, hang, read_request
from testkit.waiting import wait_until

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20
Act = Callable[[Http2Client], None]


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    """Takes the body of /wait, and never answers."""

    async def answer(connection: Connection) -> None:
        if b" /wait " in connection.requests[-1]:
            await hang(connection)
        connection.writer.write(OK)

    with Upstream([forever(read_request, answer)]) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def shared(program: Program, server: Upstream) -> Site:
    site = Site([server.port])
    program.serve(site)
    return site


@pytest.fixture
def client(shared: Site) -> Iterator[Http2Client]:
    with Http2Client(shared.port) as connection:
        yield connection


def block(client: Http2Client, method: str = "GET") -> bytes:
    return client.endpoint.encoder.encode(head(method))


def open_post(client: Http2Client) -> int:
    return client.open(head("POST"), end=False)


def finished(client: Http2Client) -> int:
    """A stream that both sides have ended."""
    stream = client.open()
    assert client.response(stream).ended
    client.ping()
    return stream


# --- what ends the connection ---


def raw(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> Act:
    return lambda client: client.send(raw_frame(kind, payload, flags=flags, stream=stream))


def on_finished(make: Callable[[int], bytes]) -> Act:
    return lambda client: client.send(make(finished(client)))


def on_open(make: Callable[[int], bytes]) -> Act:
    return lambda client: client.send(make(open_post(client)))


def head_of(flags: int, payload: bytes = b"") -> Act:
    def act(client: Http2Client) -> None:
        client.send(raw_frame(HEADERS, payload + block(client), flags=flags, stream=1))

    return act


def within_a_block(make: Callable[[int], bytes]) -> Act:
    """A frame between HEADERS and its CONTINUATION."""

    def act(client: Http2Client) -> None:
        stream = client.next_stream()
        client.send(HeadersFrame(stream, block(client)[:5]), make(stream))

    return act


def decreasing(client: Http2Client) -> None:
    client.send(HeadersFrame(5, block(client), flags=["END_HEADERS", "END_STREAM"]))
    client.send(HeadersFrame(3, block(client), flags=["END_HEADERS", "END_STREAM"]))


WHOLE = END_HEADERS | END_STREAM
P, FC, FS, SC, C = (
    Code.PROTOCOL_ERROR,
    Code.FLOW_CONTROL_ERROR,
    Code.FRAME_SIZE_ERROR,
    Code.STREAM_CLOSED,
    Code.COMPRESSION_ERROR,
)
CONNECTION_ERRORS: list[tuple[str, Act, Code, str]] = [
    ("§4.2 too long a frame", raw(SETTINGS, b"x" * 16_386), FS, "frame_too_large"),
    ("§4.3 block", head_of(WHOLE, b"\xff\xff\xff\xff\xff\xff\xff\xff"), C, ""),
    ("§4.3 unknown index", head_of(WHOLE, b"\xfe"), C, ""),
    ("§4.3 huffman padding", head_of(WHOLE, b"\x00\x81\xff\x01x"), C, ""),
    ("RFC 7541 §4.2 table too large", head_of(WHOLE, b"\x3f\xe2\x1f"), C, ""),
    ("§5.1 DATA, idle", raw(DATA, b"x", stream=1), P, "data_on_idle_stream"),
    ("§5.1 RST_STREAM, idle", raw(RST_STREAM, bytes(4), stream=1), P, "frame_on_idle_stream"),
    (
        "§5.1 WINDOW_UPDATE, idle",
        raw(WINDOW_UPDATE, b"\0\0\0\1", stream=1),
        P,
        "frame_on_idle_stream",
    ),
    (
        "§5.1 CONTINUATION, idle",
        raw(CONTINUATION, b"\x82", flags=END_HEADERS, stream=1),
        P,
        "unexpected_continuation",
    ),
    (
        "§5.1 DATA, finished",
        on_finished(lambda s: raw_frame(DATA, b"x", stream=s)),
        SC,
        "data_on_closed_stream",
    ),
    (
        "§5.1.1 even number",
        lambda c: c.send(HeadersFrame(2, block(c), flags=["END_HEADERS"])),
        P,
        "head_on_even_stream",
    ),
    ("§5.1.1 number decreases", decreasing, P, "stream_number_not_increasing"),
    ("§6.1 DATA, stream 0", raw(DATA, b"x"), P, "data_on_stream_0"),
    (
        "§6.1 DATA padding",
        on_open(lambda s: raw_frame(DATA, b"\x09x", flags=PADDED, stream=s)),
        P,
        "bad_padding",
    ),
    ("§6.2 HEADERS, stream 0", lambda c: c.send(raw_frame(HEADERS, block(c), flags=WHOLE)), P, ""),
    ("§6.2 HEADERS padding", head_of(WHOLE | PADDED, b"\xff"), P, "bad_padding"),
    ("§6.3 PRIORITY, stream 0", raw(PRIORITY, bytes(5)), P, "priority_on_stream_0"),
    ("§6.4 RST_STREAM, stream 0", raw(RST_STREAM, bytes(4)), P, "rst_stream_on_stream_0"),
    (
        "§6.4 RST_STREAM length",
        on_open(lambda s: raw_frame(RST_STREAM, bytes(3), stream=s)),
        FS,
        "rst_stream_length",
    ),
    ("§6.5 SETTINGS on a stream", raw(SETTINGS, stream=1), P, "settings_on_stream"),
    ("§6.5 SETTINGS length", raw(SETTINGS, bytes(5)), FS, "settings_length"),
    ("§6.5 ACK with payload", raw(SETTINGS, bytes(6), flags=ACK), FS, "settings_ack_with_payload"),
    ("§6.5.2 ENABLE_PUSH", raw(SETTINGS, b"\0\2\0\0\0\2"), P, "bad_enable_push"),
    ("§6.5.2 INITIAL_WINDOW_SIZE", raw(SETTINGS, b"\0\4\x80\0\0\0"), FC, "bad_initial_window"),
    ("§6.5.2 MAX_FRAME_SIZE, low", raw(SETTINGS, b"\0\5\0\0\x3f\xff"), P, "bad_max_frame_size"),
    ("§6.5.2 MAX_FRAME_SIZE, high", raw(SETTINGS, b"\0\5\1\0\0\0"), P, "bad_max_frame_size"),
    (
        "§6.6 PUSH_PROMISE",
        on_open(lambda s: raw_frame(PUSH_PROMISE, b"\0\0\0\2\x82", flags=END_HEADERS, stream=s)),
        P,
        "unexpected_push_promise",
    ),
    ("§6.7 PING on a stream", raw(PING, bytes(8), stream=1), P, "ping_on_stream"),
    ("§6.7 PING length", raw(PING, bytes(7)), FS, "ping_length"),
    ("§6.8 GOAWAY on a stream", raw(GOAWAY, bytes(8), stream=1), P, "goaway_on_stream"),
    ("§6.9 WINDOW_UPDATE length", raw(WINDOW_UPDATE, bytes(3)), FS, "window_update_length"),
    ("§6.9 WINDOW_UPDATE of 0", raw(WINDOW_UPDATE, bytes(4)), P, "window_update_of_0"),
    (
        "§6.9.1 window of the connection",
        raw(WINDOW_UPDATE, b"\x7f\xff\xff\xff"),
        FC,
        "window_overflow",
    ),
    (
        "§6.10 PING within a block",
        within_a_block(lambda s: raw_frame(PING, bytes(8))),
        P,
        "continuation_expected",
    ),
    (
        "§6.10 another stream within a block",
        within_a_block(lambda s: raw_frame(CONTINUATION, b"", stream=s + 2)),
        P,
        "continuation_expected",
    ),
    (
        "§6.10 HEADERS within a block",
        within_a_block(lambda s: raw_frame(HEADERS, b"\x82", stream=s)),
        P,
        "continuation_expected",
    ),
    (
        "§5.5 unknown frame within a block",
        within_a_block(lambda s: raw_frame(0x77, b"", stream=s)),
        P,
        "continuation_expected",
    ),
    (
        "§8.4 PUSH_PROMISE on an idle stream",
        raw(PUSH_PROMISE, b"\0\0\0\2\x82", flags=END_HEADERS, stream=1),
        P,
        "unexpected_push_promise",
    ),
]


@pytest.mark.parametrize(
    ("act", "code", "reason"),
    [row[1:] for row in CONNECTION_ERRORS],
    ids=[row[0] for row in CONNECTION_ERRORS],
)
def test_connection_errors(
    *, program: Program, shared: Site, client: Http2Client, act: Act, code: Code, reason: str
) -> None:
    listener = f"lb.http.{shared.name}"
    before = program.failures(shared), program.failures(shared, reason=reason)
    act(client)
    assert client.goaway_code() == code
    wait_until(lambda: program.failures(shared) > before[0], timeout_s=5, what="a failure")
    if reason:
        assert program.failures(shared, reason=reason) == before[1] + 1, listener
    with Http2Client(shared.port) as another:
        assert another.request().status == 200


# --- what ends a stream ---


def window_of_0(client: Http2Client, stream: int) -> None:
    client.widen(stream, 0)


def window_overflow(client: Http2Client, stream: int) -> None:
    client.widen(stream, 2**31 - 1)


def too_long(client: Http2Client, stream: int) -> None:
    client.send(raw_frame(DATA, b"x" * 16_385, stream=stream))


def depends_on_itself(client: Http2Client, stream: int) -> None:
    client.send(PriorityFrame(stream, depends_on=stream))


def short_priority(client: Http2Client, stream: int) -> None:
    client.send(raw_frame(PRIORITY, bytes(4), stream=stream))


def data_after_end(client: Http2Client, stream: int) -> None:
    client.send(DataFrame(stream, b"", flags=["END_STREAM"]), DataFrame(stream, b"x"))


def head_after_end(client: Http2Client, stream: int) -> None:
    client.send(DataFrame(stream, b"", flags=["END_STREAM"]))
    client.send(HeadersFrame(stream, block(client), flags=["END_HEADERS", "END_STREAM"]))


STREAM_ERRORS = [
    (window_of_0, P, "window_update_of_0"),
    (window_overflow, FC, "window_overflow"),
    (too_long, FS, "frame_too_large"),
    (depends_on_itself, P, "depends_on_itself"),
    (short_priority, FS, "priority_length"),
    (data_after_end, SC, "data_after_end"),
    (head_after_end, SC, "head_after_end"),
]


@pytest.mark.parametrize(("act", "code", "reason"), STREAM_ERRORS)
def test_stream_errors(
    *,
    program: Program,
    shared: Site,
    client: Http2Client,
    act: Callable[[Http2Client, int], None],
    code: Code,
    reason: str,
) -> None:
    before = program.failures(shared, reason=reason)
    stream = client.open(head("POST", "/wait"), end=False)
    act(client, stream)
    assert client.reset_code(stream) == code
    assert program.failures(shared, reason=reason) == before + 1
    assert client.request().status == 200
    assert client.endpoint.goaway is None


# --- what is no error ---


def test_the_window_of_a_stream_is_kept_to(
    program: Program, shared: Site, server: Upstream
) -> None:
    """§6.9.1: what is sent beyond it is an error of the stream."""
    site = Site([server.port], listener='http2.stream_window = "16KB"')
    program.serve(site, shared)
    with Http2Client(site.port) as client:
        client.ping()
        stream = client.open(head("POST", "/wait"), end=False)
        # Arrives in one piece, so that nothing of it can have been passed on before the rest is in.
        client.send(*(DataFrame(stream, b"x" * 16_384) for _ in range(8)))
        assert client.reset_code(stream) == Code.FLOW_CONTROL_ERROR
        assert client.request().status == 200


def test_unknown_frames_are_ignored(client: Http2Client) -> None:
    """§5.5: of any type, with any flags, on any stream."""
    stream = open_post(client)
    for kind in (0x0A, 0x77, 0xFF):
        for on in (0, stream, stream + 100):
            client.send(raw_frame(kind, b"whatever", flags=0xFF, stream=on))
    client.send_data(stream, b"x", end=True)
    assert client.response(stream).status == 200


def test_unknown_flags_and_settings_are_ignored(client: Http2Client) -> None:
    client.send(raw_frame(SETTINGS, b"\xff\xfe\0\0\0\1", flags=0xFE))
    stream = client.next_stream()
    client.send(raw_frame(HEADERS, block(client), flags=WHOLE | 0x52, stream=stream))
    assert client.response(stream).status == 200


def test_the_reserved_bit_is_ignored(client: Http2Client) -> None:
    stream = client.next_stream()
    client.send(raw_frame(HEADERS, block(client), flags=WHOLE, stream=stream | 1 << 31))
    assert client.response(stream).status == 200


def test_frames_that_come_late(client: Http2Client) -> None:
    """For a stream that is over these may well be on their way (§5.1)."""
    stream = finished(client)
    client.send(
        RstStreamFrame(stream, Code.CANCEL),
        WindowUpdateFrame(stream, 100),
        PriorityFrame(stream, depends_on=0),
    )
    assert client.request().status == 200


def test_priority_of_streams_that_do_not_exist(client: Http2Client) -> None:
    client.send(*(PriorityFrame(stream, depends_on=0) for stream in (1, 51, 101)))
    assert client.request().status == 200


def test_goaway_of_a_client(client: Http2Client) -> None:
    """It says that it takes no pushes; what it has asked for is answered."""
    stream = open_post(client)
    client.send(GoAwayFrame(0, last_stream_id=0, error_code=0, additional_data=b"bye"))
    client.send_data(stream, b"x", end=True)
    assert client.response(stream).status == 200


def test_a_ping_ack_that_nobody_asked_for(client: Http2Client) -> None:
    """It answers nothing, and means nothing."""
    client.send(PingFrame(0, b"whatever", flags=["ACK"]))
    client.ping()
    assert client.request().status == 200
    assert client.endpoint.goaway is None


def test_a_block_in_many_frames(client: Http2Client) -> None:
    stream, whole = client.next_stream(), block(client)
    pieces = [whole[at : at + 3] for at in range(0, len(whole), 3)]
    client.send(
        HeadersFrame(stream, b"", flags=["END_STREAM"]),
        *(ContinuationFrame(stream, piece) for piece in pieces),
        ContinuationFrame(stream, b"", flags=["END_HEADERS"]),
    )
    assert client.response(stream).status == 200


def test_byte_by_byte(shared: Site) -> None:
    """From the preface on, in segments of their own."""
    with Http2Client(shared.port, greets=False) as client:
        request = HeadersFrame(1, block(client), flags=["END_HEADERS", "END_STREAM"])
        for value in PREFACE + SettingsFrame().serialize() + request.serialize():
            client.send(bytes([value]))
        assert client.response(1).status == 200


def test_all_at_once(shared: Site) -> None:
    """Preface, SETTINGS and requests in one segment."""
    with Http2Client(shared.port, greets=False) as client:
        frames = [
            HeadersFrame(stream, block(client), flags=["END_HEADERS", "END_STREAM"])
            for stream in (1, 3, 5)
        ]
        client.send(PREFACE, SettingsFrame(), *frames)
        assert [client.response(stream).status for stream in (1, 3, 5)] == [200] * 3


def test_a_smaller_table(shared: Site) -> None:
    """RFC 7541 §4.2: a client that gives us no table still reads our heads."""
    with Http2Client(shared.port, settings={SettingsFrame.HEADER_TABLE_SIZE: 0}) as client:
        assert client.request().status == 200
        assert client.request().status == 200


def test_settings_are_acknowledged(shared: Site) -> None:
    with Http2Client(shared.port) as client:
        client.run_until(lambda: bool(client.endpoint.peer_settings))
        ours = client.endpoint.peer_settings
        assert ours[SettingsFrame.MAX_CONCURRENT_STREAMS] == 128
        assert ours[SettingsFrame.INITIAL_WINDOW_SIZE] == 262_144
        assert ours[SettingsFrame.ENABLE_CONNECT_PROTOCOL] == 1
        assert SettingsFrame.ENABLE_PUSH not in ours


# --- the beginning ---


@pytest.mark.parametrize(
    "said",
    [
        PREFACE[:-4] + b"XX\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\nx" + PREFACE,
        b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n",
    ],
)
def test_a_bad_preface(program: Program, shared: Site, said: bytes) -> None:
    """§3.4: the connection is closed, with GOAWAY or without."""
    before = program.failures(shared)
    with shared.client() as client:
        client.send(said)
        client.half_close()
        client.read_until_close()
    wait_until(lambda: program.failures(shared) > before, timeout_s=2, what="a failure")
    assert program.failures(shared) == before + 1


@pytest.mark.parametrize("first", [raw_frame(PING, bytes(8)), raw_frame(SETTINGS, flags=ACK)])
def test_settings_come_first(program: Program, shared: Site, first: bytes) -> None:
    before = program.failures(shared, reason="settings_expected")
    with Http2Client(shared.port, greets=False) as client:
        client.send(PREFACE, first)
        assert client.goaway_code() == Code.PROTOCOL_ERROR
    wait_until(
        lambda: program.failures(shared, reason="settings_expected") > before,
        timeout_s=2,
        what="a failure",
    )


def test_an_error_in_the_first_bytes_is_counted_once(program: Program, shared: Site) -> None:
    """However much comes behind it."""
    before = program.failures(shared)
    with Http2Client(shared.port, greets=False) as client:
        with suppress(ConnectionError):
            client.send(PREFACE, SettingsFrame(), raw_frame(DATA, b"x"), b"x" * 200_000)
        assert client.is_closed()
    wait_until(lambda: program.failures(shared) > before, timeout_s=2, what="a failure")
    with Http2Client(shared.port) as another:
        assert another.request().status == 200
    assert program.failures(shared) == before + 1


def test_a_preface_that_stops(program: Program, shared: Site, server: Upstream) -> None:
    """It is bound in time as a head of HTTP/1.1 is."""
    site = Site([server.port], listener='timeouts.request_head = "200ms"')
    program.serve(site, shared)
    for start in (PREFACE[:3], PREFACE[:10], PREFACE, PREFACE + SettingsFrame().serialize()):
        with site.client(timeout_s=2) as client:
            client.send(start)
            client.read_until_close()


def test_a_head_that_stops(program: Program, shared: Site, server: Upstream) -> None:
    """HEADERS whose CONTINUATION does not come."""
    site = Site([server.port], listener='timeouts.request_head = "200ms"')
    program.serve(site, shared)
    with Http2Client(site.port, timeout_s=2) as client:
        client.send(HeadersFrame(1, block(client)[:5]))
        assert client.is_closed()


def test_half_a_frame(program: Program, shared: Site, server: Upstream) -> None:
    site = Site([server.port], listener='timeouts.request_head = "200ms"')
    program.serve(site, shared)
    with Http2Client(site.port, timeout_s=2) as client:
        client.send(HeadersFrame(1, block(client), flags=["END_HEADERS"]).serialize()[:12])
        assert client.is_closed()
