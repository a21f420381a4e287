"""The end of a process and the beginning of the next: what is finished, closed, cut."""

import asyncio
import json
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from testkit.client import BadResponseError, Client
from testkit.ports import is_listening
from testkit.process import Process
from testkit.site import Site
from testkit.trunkline import Trunkline
from testkit.upstream import (
    OK,
    Connection,
    Upstream,
    forever,
    half_close,
    read_request,
    send,
)
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
HALF = b"GET /half HTTP/1.1\r\nHost: a\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
UPGRADE = b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\n\r\n"


class Server(Upstream):
    """Keeps requests for /slow, and the second half of /half, until the test lets them go."""

    def __init__(self) -> None:
        self.release = threading.Event()
        super().__init__([forever(read_request, self._answer)])

    async def _answer(self, connection: Connection) -> None:
        path = connection.requests[-1].split()[1]
        if path == b"/up":
            await _echo(connection)
        elif path == b"/half":
            await send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")(connection)
            await asyncio.to_thread(self.release.wait, 20)
            await send(b"lf")(connection)
        elif path == b"/endless":
            await send(b"HTTP/1.1 200 OK\r\n\r\n")(connection)
            await forever(send(b"x" * 65_536))(connection)
        else:
            if path == b"/slow":
                await asyncio.to_thread(self.release.wait, 20)
            await send(OK)(connection)


async def _echo(connection: Connection) -> None:
    await send(SWITCH)(connection)
    while data := await connection.reader.read(65536):
        await send(data)(connection)
    await half_close(connection)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server
        server.release.set()


@pytest.fixture
def site(server: Server) -> Site:
    return Site([server.port], route="retry.attempts = 1")


@pytest.fixture
def running(site: Site, tmp_path: Path) -> Iterator[Trunkline]:
    with Trunkline(tmp_path, site.config, threads=2) as trunkline:
        yield trunkline


@pytest.fixture
def clients(site: Site, running: Trunkline) -> Iterator[list[Client]]:
    """Five connections."""
    with ExitStack() as stack:
        yield [stack.enter_context(site.client()) for _ in range(5)]


def stop_accepting(running: Trunkline, site: Site) -> None:
    running.send(signal.SIGTERM)
    wait_until(lambda: not is_listening(site.port), timeout_s=5, what="the end of accepting")


def test_what_has_begun_is_finished(
    running: Trunkline, site: Site, server: Server, clients: list[Client]
) -> None:
    """A head, a request body, an answer, a response body: whatever is half done."""
    head, upload, slow, half, _ = clients
    head.send(GET[:-2])
    upload.send(UPLOAD + b"ab")
    slow.send(SLOW)
    half.send(HALF)
    server.wait_for_requests(2)
    stop_accepting(running, site)
    assert running.process.exit_code() is None
    head.send(b"\r\n")
    upload.send(b"cd")
    server.release.set()
    for client in (head, upload, slow):
        answer = client.read_response()
        assert (answer.status, answer.value("connection")) == (200, "close")
        assert client.is_closed()
    assert half.read_response().body == b"half"
    assert half.is_closed()
    assert running.process.wait(5) == 0
    assert sorted(entry["path"] for entry in running.access_log(4)) == ["/", "/", "/half", "/slow"]
    assert not any("reason" in entry for entry in running.access_log())
    assert server.open_count == 0


def test_idle_connections_are_closed_at_once(
    running: Trunkline, server: Server, clients: list[Client]
) -> None:
    """While another request keeps the process alive."""
    kept, fresh, slow, *_ = clients
    assert kept.request(GET).status == 200
    slow.send(SLOW)
    server.wait_for_requests(2)
    running.send(signal.SIGTERM)
    assert kept.is_closed()
    assert fresh.is_closed()
    assert running.process.exit_code() is None
    server.release.set()
    assert slow.read_response().status == 200
    assert running.process.wait(5) == 0


def test_what_others_see_of_a_drain(
    running: Trunkline, site: Site, server: Server, clients: list[Client]
) -> None:
    (state_path,) = (running.directory / "state").iterdir()
    admin = json.loads(state_path.read_text())["url"]
    assert (running.directory / "ready").exists()
    assert httpx.get(f"{admin}/readyz", trust_env=False).status_code == 200
    clients[0].send(SLOW)
    server.wait_for_requests(1)
    stop_accepting(running, site)
    with pytest.raises(ConnectionRefusedError):
        site.client()
    assert not (running.directory / "ready").exists()
    assert httpx.get(f"{admin}/readyz", trust_env=False).status_code == 503
    assert httpx.get(f"{admin}/healthz", trust_env=False).status_code == 200
    assert running.status()["draining"]
    assert running.status()["open_connections"] == 1
    server.release.set()
    assert clients[0].read_response().status == 200
    assert running.process.wait(5) == 0


def test_a_tunnel_goes_on_to_its_end(running: Trunkline, site: Site, clients: list[Client]) -> None:
    tunnel = clients[0]
    assert tunnel.request(UPGRADE).status == 101
    stop_accepting(running, site)
    tunnel.send(b"still there?")
    assert tunnel.socket.recv(100) == b"still there?"
    tunnel.half_close()
    assert tunnel.is_closed()
    assert running.process.wait(5) == 0


def test_the_grace_period_cuts(
    running: Trunkline, site: Site, server: Server, clients: list[Client]
) -> None:
    """Who has no answer yet is told, a cut answer can be told from a whole one, all are logged."""
    slow, half, tunnel, *_ = clients
    assert tunnel.request(UPGRADE).status == 101
    slow.send(SLOW)
    half.send(HALF)
    server.wait_for_requests(3)
    stop_accepting(running, site)
    assert running.process.wait(10) == 4
    assert slow.read_response().status == 503
    with pytest.raises((BadResponseError, ConnectionResetError)):
        half.read_response()
    assert tunnel.is_closed()
    cut = [entry["path"] for entry in running.access_log() if entry.get("reason") == "shutdown"]
    assert sorted(cut) == ["/half", "/slow", "/up"]
    assert "the grace period cut off what was still open" in running.process.output()


def test_the_grace_period_cuts_what_moves(
    running: Trunkline, site: Site, server: Server, clients: list[Client]
) -> None:
    """A transfer that has its next byte in time is logged as cut, like one that waits."""
    for client in clients:
        client.send(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
    server.wait_for_requests(len(clients))
    running.send(signal.SIGTERM)
    with ThreadPoolExecutor() as threads:
        list(threads.map(_read_to_the_end, clients))
    assert running.process.wait(10) == 4
    cut = [(entry["path"], entry.get("reason")) for entry in running.access_log()]
    assert cut == [("/endless", "shutdown")] * len(clients)


def _read_to_the_end(client: Client) -> None:
    with suppress(ConnectionResetError):
        while client.socket.recv(65_536):
            pass


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_waits_for_nothing(
    running: Trunkline, site: Site, server: Server, clients: list[Client], second: signal.Signals
) -> None:
    clients[0].send(SLOW)
    server.wait_for_requests(1)
    stop_accepting(running, site)
    running.send(second)
    assert running.process.wait(1) == 128 + second
    with pytest.raises((BadResponseError, ConnectionResetError)):
        clients[0].read_response()


def test_a_start_right_after_the_end(
    running: Trunkline, site: Site, clients: list[Client], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The connections that it closed itself are in TIME_WAIT then, on the same port."""
    for client in clients:
        assert client.request(GET).status == 200
    assert running.stop() == 0
    for _ in range(2):
        following = Trunkline(tmp_path_factory.mktemp("next"), site.config)
        with following, site.client() as client:
            assert client.request(GET).status == 200
            assert following.stop() == 0
            assert client.is_closed()


def test_the_next_one_starts_while_the_last_one_drains(
    site: Site, server: Server, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Until the next one serves, on a machine that is busy.
    with Trunkline(tmp_path, site.config, grace="1m") as running, site.client() as client:
        client.send(SLOW)
        server.wait_for_requests(1)
        stop_accepting(running, site)
        with Trunkline(tmp_path_factory.mktemp("next"), site.config):
            assert site.get().status == 200
            server.release.set()
            assert client.read_response().status == 200
            assert running.process.wait(5) == 0
            assert site.get().status == 200


def test_a_second_process_on_the_same_port(
    running: Trunkline, site: Site, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Is refused and takes no connection from the first: both set SO_REUSEPORT."""
    folder = tmp_path_factory.mktemp("second")
    config = folder / "trunkline.toml"
    config.write_text(f"[admin]\nenabled = false\n{site.config}")
    command = [sys.executable, "-m", "trunkline", "up", "--config", str(config)]
    with Process(command, directory=folder, name="second") as second:
        for _ in range(20):
            assert site.get().status == 200
        assert second.wait(10) == 1
        (line,) = second.output().splitlines()
    assert f"cannot listen on 127.0.0.1:{site.port}: Address already in use" in line
    assert [site.get().status for _ in range(20)] == [200] * 20
    assert len(running.access_log(40)) == 40
