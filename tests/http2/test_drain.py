"""The end of a process: clients of HTTP/2 are told, what has begun is finished, nothing is lost."""

import asyncio
import select
import signal
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hyperframe.frame import SettingsFrame

from testkit.certificates import Authority
from testkit.http2 import PREFACE, Code, Endpoint
from testkit.http2_client import ConnectionOverError, Http2Client
from testkit.http2_upstream import Http2Upstream
from testkit.ports import is_listening
from testkit.site import Site
from testkit.tls import listener_tls, trusting
from testkit.trunkline import Trunkline
from testkit.upstream import OK, Connection, Upstream, forever, read_request, response, send
from testkit.waiting import wait_until

# More than the kernel takes of us unsent (128 KB), less than that and what a connection queues.
LATE = bytes(range(250)) * 900


class Server(Upstream):
    """Keeps requests for /slow until the test lets them go."""

    def __init__(self) -> None:
        self.release = threading.Event()
        super().__init__([forever(read_request, self._answer)])

    async def _answer(self, connection: Connection) -> None:
        if b" /slow " in connection.requests[-1]:
            await asyncio.to_thread(self.release.wait, 10)
        await send(OK)(connection)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as upstream:
        yield upstream
        upstream.release.set()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


BOTH = pytest.mark.parametrize("tls", ["plain", "tls"], indirect=True)


@pytest.fixture
def tls(request: pytest.FixtureRequest, authority: Authority) -> ssl.SSLContext | None:
    """In the clear, unless a test asks for both."""
    asked = getattr(request, "param", "plain")
    return trusting(authority.ca, alpn=["h2"]) if asked == "tls" else None


@pytest.fixture
def site(server: Server, authority: Authority, tls: ssl.SSLContext | None) -> Site:
    keys = listener_tls(authority.issue("site", ["site.example"])) if tls else ""
    return Site([server.port], listener=keys, route="retry.attempts = 1")


@pytest.fixture
def running(site: Site, tmp_path: Path) -> Iterator[Trunkline]:
    with Trunkline(tmp_path, site.config, threads=2) as trunkline:
        yield trunkline


@pytest.fixture
def client(running: Trunkline, site: Site, tls: ssl.SSLContext | None) -> Iterator[Http2Client]:
    with Http2Client(site.port, tls=tls, server_name="site.example") as connection:
        connection.ping()
        yield connection


def stop_accepting(running: Trunkline, site: Site) -> None:
    running.send(signal.SIGTERM)
    wait_until(lambda: not is_listening(site.port), timeout_s=5, what="the end of accepting")


@BOTH
def test_what_has_begun_is_finished(
    running: Trunkline, site: Site, server: Server, client: Http2Client
) -> None:
    """A warning first, the last number only once everything is in (RFC 9113 §6.8)."""
    waiting = [client.open(client.head("GET", "/slow")) for _ in range(5)]
    upload = client.open(client.head("POST", "/", ("content-length", "4")), end=False)
    client.send_data(upload, b"ab")
    server.wait_for_requests(5)
    stop_accepting(running, site)
    # On its way before the client has heard of the end.
    late = client.open()
    assert client.response(late).status == 200
    assert client.endpoint.goaways[0].last_stream_id == 2**31 - 1
    client.send_data(upload, b"cd", end=True)
    assert client.response(upload).status == 200
    assert running.process.exit_code() is None
    server.release.set()
    assert [client.response(stream).status for stream in waiting] == [200] * 5
    assert client.goaway_code() == Code.NO_ERROR
    assert client.endpoint.goaways[-1].last_stream_id == late
    assert running.process.wait(5) == 0


def test_quiet_streams(running: Trunkline, site: Site, server: Server) -> None:
    """A client that only waits for an answer, from its first bytes on, is told at once, too."""
    with Http2Client(site.port, greets=False) as client:
        client.endpoint = Endpoint(preface=PREFACE)
        waiting = client.open(client.head("GET", "/slow"))
        client.run_until(lambda: bool(client.endpoint.peer_settings))
        server.wait_for_requests(1)
        stop_accepting(running, site)
        client.run_until(lambda: client.endpoint.goaway is not None)
        server.release.set()
        assert client.response(waiting).status == 200
        assert client.goaway_code() == Code.NO_ERROR


@BOTH
def test_an_answer_that_is_read_late(
    tmp_path: Path, site: Site, server: Server, tls: ssl.SSLContext | None
) -> None:
    """All of it is here and half of it has left: the other half is not cut off."""
    server.script([read_request, send(response(LATE))])
    options = {SettingsFrame.INITIAL_WINDOW_SIZE: 2**24}
    with (
        Trunkline(tmp_path, site.config, grace="20s") as running,
        Http2Client(
            site.port,
            tls=tls,
            server_name="site.example",
            settings=options,
            receive_buffer_bytes=4_096,
        ) as client,
    ):
        client.widen(0, 2**24)
        client.ping()
        stream = client.open()
        wait_until(running.access_log, timeout_s=5, what="the end of the request")
        stop_accepting(running, site)
        # As long as it may take to hear of the end.
        assert not select.select([], [], [], 1.2)[0]
        assert bytes(client.response(stream).body) == LATE
        assert client.goaway_code() == Code.NO_ERROR
        assert running.process.wait(5) == 0


def test_idle_connections(running: Trunkline, site: Site, client: Http2Client) -> None:
    """One that listens, and one that answers no PING: it holds nobody up for long."""
    with Http2Client(site.port) as deaf:
        assert [each.request().status for each in (client, deaf)] == [200, 200]
        running.send(signal.SIGTERM)
        assert client.goaway_code() == Code.NO_ERROR
        assert running.process.wait(4) in (0, 4)


def test_the_grace_period_cuts(
    running: Trunkline, site: Site, server: Server, client: Http2Client
) -> None:
    """Who has no answer yet is told."""
    stream = client.open(client.head("GET", "/slow"))
    server.wait_for_requests(1)
    stop_accepting(running, site)
    assert running.process.wait(10) == 4
    try:
        message = client.response(stream)
        assert message.status == 503 or message.reset is not None
    except ConnectionOverError:
        assert not client.message(stream).ended
    cut = [entry for entry in running.access_log() if entry.get("reason") == "shutdown"]
    assert [entry["path"] for entry in cut] == ["/slow"]


@BOTH
def test_no_request_is_lost(
    running: Trunkline, site: Site, server: Server, tls: ssl.SSLContext | None
) -> None:
    """Clients ask until they are told: each request is answered, or was not looked at."""
    outcomes: list[str] = []

    def ask() -> None:
        streams: list[int] = []
        with Http2Client(site.port, tls=tls, server_name="site.example") as client:
            # A write may fail when the connection has ended; what counts is what was said before.
            with suppress(ConnectionOverError, OSError):
                while client.endpoint.goaway is None:
                    fresh = [client.open() for _ in range(5)]
                    streams += fresh
                    for stream in fresh:
                        _await_outcome(client, stream)
                    outcomes.extend(_outcome(client, stream) for stream in fresh)
            outcomes.extend(_outcome(client, stream) for stream in streams)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(outcomes) > 200, timeout_s=10, what="some requests")
    running.send(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {"answered", "not looked at"}
    assert running.process.wait(5) == 0


def _await_outcome(client: Http2Client, stream: int) -> None:
    message = client.message(stream)
    client.run_until(lambda: message.is_over or _is_beyond(client, stream))


def _outcome(client: Http2Client, stream: int) -> str:
    message = client.message(stream)
    if message.ended and message.status == 200:
        return "answered"
    return "not looked at" if _is_beyond(client, stream) else f"lost: {message}"


def _is_beyond(client: Http2Client, stream: int) -> bool:
    """The peer has said that it will not look at the stream."""
    goaway = client.endpoint.goaway
    return goaway is not None and stream > goaway.last_stream_id


def test_servers_are_told(tmp_path: Path) -> None:
    """GOAWAY on the connections that we have made."""
    with Http2Upstream() as upstream:
        site = Site([upstream.port], pool='protocol = "h2"')
        with Trunkline(tmp_path, site.config) as running:
            assert site.get().status == 200
            assert running.stop() == 0
        wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the end")


def test_a_listener_that_goes_away(tmp_path: Path, server: Server) -> None:
    """A reload without it: what has begun is finished, and the client is told."""
    kept, gone = Site([server.port]), Site([server.port])
    with (
        Trunkline(tmp_path, kept.config + gone.config) as running,
        Http2Client(gone.port) as client,
    ):
        stream = client.open(client.head("GET", "/slow"))
        server.wait_for_requests(1)
        running.write_config(kept.config)
        assert running.reload()[0] == 200
        server.release.set()
        assert client.response(stream).status == 200
        assert kept.get().status == 200
