"""Times and limits of streams and connections: who stalls is told, and frees what he holds."""

import select
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hyperframe.frame import SettingsFrame

from testkit.http2 import Code, raw_frame
from testkit.http2_client import ConnectionOverError, Http2Client, head
from testkit.procfs import fd_count, rss_bytes
from testkit.site import Program, Site
from testkit.upstream import OK, Upstream, forever, hang, read_head, read_request, response, send
from testkit.waiting import wait_until

WINDOW = SettingsFrame.INITIAL_WINDOW_SIZE
HASTE = """
timeouts.request_head = "300ms"
timeouts.body_idle = "300ms"
timeouts.keep_alive = "300ms"
"""
# More than the kernel takes of us unsent (128 KB), less than that and what a connection queues.
LATE = bytes(range(250)) * 900
BIG = response(b"x" * 2_000_000)
Serve = Callable[..., Site]


@pytest.fixture
def site(serve: Serve) -> Site:
    return serve(HASTE)


def judge(program: Program, site: Site, status: int, reason: str, count: int = 1) -> None:
    """These are the only failures of the log and of the metric; nothing is in flight."""
    entries = program.log(site, count)
    failed = [(entry["status"], entry["reason"]) for entry in entries if "reason" in entry]
    assert failed == [(status, reason)] * count
    program.wait_for_failures(site, reason, count)
    wait_until(
        lambda: program.servers(site)[0]["active"] == 0, timeout_s=5, what="the servers to be free"
    )


def test_windows_that_never_move(program: Program, site: Site, upstream: Upstream) -> None:
    """A client that asks for much and takes nothing (CVE-2019-9511, -9517)."""
    upstream.script([read_request, send(BIG), hang])
    with Http2Client(site.port, settings={WINDOW: 0}) as client:
        streams = [client.open() for _ in range(20)]
        messages = [client.message(stream) for stream in streams]
        client.run_until(lambda: all(message.is_over for message in messages))
        assert {message.status for message in messages} == {200}
        assert {message.reset for message in messages} == {Code.INTERNAL_ERROR}
        assert all(message.body == b"" for message in messages)
    judge(program, site, 200, "client_stalled", 20)
    wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the servers to be told")


def test_the_window_of_the_connection_that_never_moves(
    program: Program, site: Site, upstream: Upstream
) -> None:
    upstream.script([read_request, send(BIG), hang])
    with Http2Client(site.port) as client:
        client.endpoint.held.add(0)
        messages = [client.message(client.open()) for _ in range(3)]
        client.run_until(lambda: all(message.is_over for message in messages))
        assert {message.reset for message in messages} == {Code.INTERNAL_ERROR}
    judge(program, site, 200, "client_stalled", 3)


def test_a_stalled_stream_does_not_end_the_others(
    program: Program, site: Site, upstream: Upstream
) -> None:
    upstream.script([read_request, send(BIG), hang], [forever(read_request, send(OK))])
    with Http2Client(site.port) as client:
        stalled = client.open()
        client.endpoint.held.add(stalled)
        while not client.message(stalled).is_over:
            assert client.request().status == 200
        assert client.message(stalled).reset == Code.INTERNAL_ERROR
        assert client.request().status == 200


def test_a_window_that_crawls_is_let_through(
    program: Program, site: Site, upstream: Upstream
) -> None:
    """The time is for each step."""
    upstream.script([read_request, send(response(b"y" * 20)), hang])
    with Http2Client(site.port, settings={WINDOW: 0}) as client:
        stream = client.open()
        client.endpoint.held.add(stream)
        message = client.message(stream)
        client.socket.settimeout(0.05)
        for _ in range(20):
            _silence(client)
            client.widen(stream, 1)
        client.socket.settimeout(5)
        assert bytes(client.response(stream).body) == b"y" * 20
    assert message.reset in (None, Code.NO_ERROR)
    assert program.failures(site) == 0


def _silence(client: Http2Client) -> None:
    """Read for 50 ms."""
    try:
        client.run_until(lambda: False)
    except TimeoutError:
        return


@pytest.mark.parametrize("said", [b"", b"half"])
def test_a_body_that_stops(program: Program, site: Site, upstream: Upstream, said: bytes) -> None:
    upstream.script([read_head, hang])
    with Http2Client(site.port) as client:
        stream = client.open(head("POST", "/", ("content-length", "10")), end=False)
        client.send_data(stream, said)
        message = client.response(stream)
        assert (message.status, message.value("x-trunkline-reason")) == (
            408,
            "request_body_timeout",
        )
        assert client.reset_code(stream) == Code.NO_ERROR
    judge(program, site, 408, "request_body_timeout")
    wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the server to be told")


def test_the_servers_time(program: Program, serve: Serve, upstream: Upstream) -> None:
    site = serve(route='timeouts.response_head = "200ms"\nretry.attempts = 1')
    upstream.script([read_request, hang])
    with Http2Client(site.port) as client:
        message = client.request()
        assert (message.status, message.value("x-trunkline-reason")) == (504, "response_timeout")
    judge(program, site, 504, "response_timeout")


def test_the_whole_time(program: Program, serve: Serve, upstream: Upstream) -> None:
    """A response that has begun is reset."""
    site = serve(route='timeouts.total = "200ms"')
    upstream.script([read_request, send(BIG[:1_000]), hang])
    with Http2Client(site.port) as client:
        message = client.request()
        assert (message.status, message.reset) == (200, Code.INTERNAL_ERROR)
    judge(program, site, 200, "total_timeout")


def test_an_idle_connection(site: Site) -> None:
    """GOAWAY without an error, then the end."""
    with Http2Client(site.port) as client:
        assert client.request().status == 200
        assert client.goaway_code() == Code.NO_ERROR
        assert client.endpoint.goaway is not None
        assert client.endpoint.goaway.last_stream_id >= 1


def lagging(site: Site) -> Http2Client:
    """A client that takes whatever its kernel has room for, which is little."""
    client = Http2Client(site.port, settings={WINDOW: 2**24}, receive_buffer_bytes=4_096)
    client.widen(0, 2**24)
    client.ping()
    return client


def test_an_answer_that_is_read_late(program: Program, serve: Serve, upstream: Upstream) -> None:
    """The time of an idle connection begins when the last byte of its last answer has left."""
    site = serve('timeouts.keep_alive = "100ms"')
    upstream.script([read_request, send(response(LATE))])
    with lagging(site) as client:
        stream = client.open()
        program.log(site)
        # Four times as long as an idle connection is kept.
        assert not select.select([], [], [], 0.4)[0]
        assert bytes(client.response(stream).body) == LATE
        assert client.goaway_code() == Code.NO_ERROR
    assert program.failures(site) == 0


def test_an_answer_that_is_not_read(program: Program, site: Site, upstream: Upstream) -> None:
    """Nor does it wait for ever."""
    upstream.script([read_request, send(response(LATE))])
    with lagging(site) as client:
        client.open()
        assert program.log(site)[0]["status"] == 200
        program.wait_for_failures(site, "client_stalled")
        assert client.is_closed()


def test_memory_of_idle_connections(program: Program, serve: Serve, upstream: Upstream) -> None:
    """What answers needed is there for others when nothing follows them."""
    site = serve()
    upstream.script([read_request, send(response(LATE))])
    with ExitStack() as stack:
        first = _memory_of_answers(program, site, stack, 100)
        assert first > 8_000_000
        # Longer than a connection keeps what it has for its next request.
        assert not select.select([], [], [], 2.5)[0]
        assert _memory_of_answers(program, site, stack, 200) < first // 2


def _memory_of_answers(program: Program, site: Site, stack: ExitStack, logged: int) -> int:
    """What a hundred answers to clients who are late take, all of them read then."""
    before = rss_bytes(program.trunkline.pid)
    clients = [stack.enter_context(lagging(site)) for _ in range(100)]
    streams = [client.open() for client in clients]
    program.log(site, logged)
    memory = rss_bytes(program.trunkline.pid) - before
    for client, stream in zip(clients, streams, strict=True):
        assert bytes(client.response(stream).body) == LATE
    return memory


def test_memory_of_the_beginning_of_a_frame(program: Program, site: Site) -> None:
    """One byte needs no read buffer to wait in, however much came with it."""
    ignored = raw_frame(0x77, b"x" * 16_000) * 3
    with ExitStack() as stack:
        clients = [stack.enter_context(Http2Client(site.port)) for _ in range(100)]
        for client in clients:
            client.ping()
        before = rss_bytes(program.trunkline.pid)
        for client in clients:
            client.send(ignored + b"\0")
        with Http2Client(site.port) as last:
            last.ping()
        assert rss_bytes(program.trunkline.pid) - before < 2_000_000


def test_a_connection_without_a_request(site: Site) -> None:
    with Http2Client(site.port) as client:
        assert client.goaway_code() == Code.NO_ERROR


def test_pings_do_not_keep_it(site: Site) -> None:
    with Http2Client(site.port) as client:
        assert client.request().status == 200
        client.socket.settimeout(0.05)
        for _ in range(40):
            _ping_or_end(client)
            if client.endpoint.goaway is not None:
                return
        raise AssertionError("still open")


def _ping_or_end(client: Http2Client) -> None:
    try:
        client.ping()
        _silence(client)
    except (ConnectionOverError, ConnectionError):
        return


class TestRequestsOfAConnection:
    """`limits.requests_per_connection`."""

    def test_the_last_one_is_announced(self, serve: Serve, upstream: Upstream) -> None:
        """GOAWAY names the last stream that is served; that one is."""
        site = serve("limits.requests_per_connection = 3")
        with Http2Client(site.port) as client:
            for number in range(3):
                assert client.request().status == 200, number
            assert client.goaway_code() == Code.NO_ERROR
            assert client.endpoint.goaway is not None
            assert client.endpoint.goaway.last_stream_id == 5
        assert len(upstream.requests) == 3

    def test_those_in_flight_are_finished(self, serve: Serve, upstream: Upstream) -> None:
        """More than allowed at once: those beyond were not looked at, and may be sent again."""
        site = serve("limits.requests_per_connection = 3")
        with Http2Client(site.port) as client:
            client.endpoint.take_output()
            streams = [client.next_stream() for _ in range(5)]
            for stream in streams:
                client.endpoint.send_head(stream, head("GET", f"/{stream}"), end=True)
            client.flush()
            assert [client.response(stream).status for stream in streams[:3]] == [200] * 3
            assert client.goaway_code() == Code.NO_ERROR
            assert [client.message(stream).fields for stream in streams[3:]] == [[], []]
        assert len(upstream.requests) == 3

    def test_a_new_connection_begins_anew(self, serve: Serve) -> None:
        site = serve("limits.requests_per_connection = 1")
        for _ in range(3):
            with Http2Client(site.port) as client:
                assert client.request().status == 200


class TestStreamsAtATime:
    """`http2.max_concurrent_streams`."""

    @pytest.fixture
    def upstream(self) -> Iterator[Upstream]:
        with Upstream([read_request, hang]) as server:
            yield server

    def test_beyond_the_limit(self, program: Program, serve: Serve, upstream: Upstream) -> None:
        """REFUSED_STREAM: it may be sent again."""
        site = serve("http2.max_concurrent_streams = 2")
        with Http2Client(site.port) as client:
            kept = [client.open() for _ in range(2)]
            upstream.wait_for_requests(2)
            client.ping()
            assert client.endpoint.peer_settings[SettingsFrame.MAX_CONCURRENT_STREAMS] == 2
            assert client.request().reset == Code.REFUSED_STREAM
            upstream.script([forever(read_request, send(OK))])
            client.reset(kept[0], Code.CANCEL)
            assert client.request().status == 200
        assert program.failures(site, reason="too_many_streams") == 1
        assert len(upstream.requests) == 3


def test_connections_of_a_listener(serve: Serve) -> None:
    """Each connection counts as one, whatever streams it has."""
    site = serve("limits.connections = 2")
    with Http2Client(site.port) as one, Http2Client(site.port) as two:
        for client in (one, two):
            streams = [client.open() for _ in range(10)]
            assert [client.response(stream).status for stream in streams] == [200] * 10


def test_a_client_that_leaves(program: Program, site: Site, upstream: Upstream) -> None:
    """All of its requests are cancelled."""
    upstream.script([read_request, hang])
    files = fd_count(program.trunkline.pid)
    client = Http2Client(site.port)
    for _ in range(10):
        client.open()
    upstream.wait_for_requests(10)
    client.close()
    wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the servers to be told")
    wait_until(lambda: fd_count(program.trunkline.pid) <= files, timeout_s=5, what="descriptors")
    judge(program, site, 0, "client_closed", 10)
