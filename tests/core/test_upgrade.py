"""One process takes the place of another, and whoever is connected notices nothing of it."""

import asyncio
import json
import os
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve

from testkit.client import Client
from testkit.load import Load
from testkit.ports import free_port, is_listening
from testkit.process import Process
from testkit.procfs import is_running
from testkit.service import Service, wait_until_ended
from testkit.trunkline import lb_config
from testkit.upstream import OK, Connection, Upstream, forever, read_request, send
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADES = 20


@pytest.fixture
def service(tmp_path: Path, upstream: Upstream, port: int) -> Iterator[Service]:
    """Its grace period is longer than anything that a test does."""
    with Service(tmp_path, lb_config(port, [upstream.port]), threads=2, grace="40s") as service:
        yield service


@pytest.mark.timeout(300)
def test_twenty_upgrades_under_load(tmp_path: Path, upstream: Upstream, port: int) -> None:
    config = lb_config(port, [upstream.port])
    with Service(tmp_path, config, threads=2, grace="10s") as service:
        pids = [service.serving_pid]
        with Load(port, kept=3, single=1) as load:
            for _ in range(UPGRADES):
                pids.append(service.upgrade())
                enough = load.answered + 10
                wait_until(lambda: load.answered > enough, timeout_s=20, what="more answers")  # noqa: B023
        assert load.failures == []
        assert len(set(pids)) == UPGRADES + 1
        assert service.serving_pid == pids[-1]
        assert service.process.wait(20) == 0
        for pid in pids[1:-1]:
            wait_until_ended(pid)


def test_everything_works_with_the_new_process(service: Service, port: int) -> None:
    before, old = service.state(), service.pid
    new = service.upgrade()
    assert service.state() == {**before, "pid": new}
    assert (service.directory / "ready").read_text() == f"{new}\n"
    assert service.status()["process"]["pid"] == new
    assert service.process.wait(10) == 0
    assert not is_running(old)
    assert (service.directory / "ready").exists()
    assert service.reload()[1]["generation"] == 2
    with Client(port) as client:
        assert client.request(GET).status == 200
    wait_until(
        lambda: service.metric("trunkline_requests_total") == 1, timeout_s=5, what="its count"
    )
    service.process.send(signal.SIGTERM)
    assert is_running(new)


def test_files_that_the_new_process_does_not_leave_go(service: Service) -> None:
    """It has another ready file, and no admin API that commands could ask."""
    admin_port = int(service.state()["url"].rpartition(":")[2])
    text = service.config_path.read_text().replace('"ready"', '"another"', 1)
    service.config_path.write_text(text.replace("[admin]", "[admin]\nenabled = false", 1))
    new = service.upgrade()
    assert service.process.wait(10) == 0
    assert (service.directory / "another").read_text() == f"{new}\n"
    assert not (service.directory / "ready").exists()
    assert list((service.directory / "state").glob("*.json")) == []
    assert not is_listening(admin_port)


def test_by_command(service: Service) -> None:
    done = service.command("upgrade", "--config", str(service.config_path))
    new = service.serving_pid
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"upgraded: process {new} serves, process {service.pid} finishes what it has begun\n"
    )
    assert service.process.wait(10) == 0
    assert service.command("status").returncode == 0
    assert service.command("reload").returncode == 0


def test_by_signal(service: Service) -> None:
    service.send(signal.SIGUSR2)
    assert service.process.wait(20) == 0
    assert service.serving_pid != service.pid
    assert service.wait_for_message("has taken over")


def test_a_token_of_its_own_stays(tmp_path: Path, upstream: Upstream, port: int) -> None:
    """Nobody has configured one, and those who have read it go on using it."""
    with Service(tmp_path, lb_config(port, [upstream.port])) as service:
        text = service.config_path.read_text()
        service.config_path.write_text(
            "".join(line for line in text.splitlines(True) if not line.startswith("token"))
        )
        service.upgrade()
        token = service.state()["token"]
        assert service.command("upgrade").returncode == 0
        assert service.state()["token"] == token
        assert service.command("status").returncode == 0


def test_an_idle_connection_has_one_more_request(service: Service, port: int) -> None:
    """A client that keeps its connection is told of the end, not cut off."""
    with Client(port) as used, Client(port) as fresh:
        assert used.request(GET).status == 200
        service.upgrade()
        for client in (used, fresh):
            answer = client.request(GET)
            assert (answer.status, answer.value("connection")) == (200, "close")
            assert client.is_closed()
        assert service.process.wait(10) == 0


def test_the_patience_with_idle_connections_ends(
    tmp_path: Path, upstream: Upstream, port: int
) -> None:
    """After half of the grace period, and at once when the old process is told to stop."""
    config = lb_config(port, [upstream.port])
    with Service(tmp_path, config, grace="2s") as service, Client(port) as client:
        assert client.request(GET).status == 200
        service.upgrade()
        assert client.is_closed()
        assert service.process.wait(10) == 0


def test_a_stop_of_the_old_process_is_no_cut(service: Service, port: int) -> None:
    with Client(port) as client:
        assert client.request(GET).status == 200
        new = service.upgrade()
        service.send(signal.SIGTERM)
        assert client.is_closed()
        assert service.process.wait(10) == 0
    assert service.serving_pid == new


def servers(service: Service) -> dict[str, Any]:
    answer = service.admin("GET", "/pools/lb.app/servers")[1]
    return {server["name"]: server for server in answer}


def test_what_operators_have_said_of_servers_stays(
    tmp_path: Path, upstream: Upstream, port: int
) -> None:
    """Else an upgrade would send requests to a server that somebody drains."""
    names = [f"127.0.0.1:{number}" for number in (upstream.port, 1, 2, 3)]
    with Service(tmp_path, lb_config(port, [upstream.port, 1, 2, 3])) as service:
        for name, change in zip(
            names[1:], [{"draining": True}, {"enabled": False}, {"weight": 0}], strict=True
        ):
            assert service.admin("PATCH", f"/pools/lb.app/servers/{name}", change)[0] == 200
        before = servers(service)
        service.upgrade()
        after = servers(service)
        for name in names:
            for field in ("state", "draining", "enabled", "weight"):
                assert after[name][field] == before[name][field]
        assert service.upgrade()
        assert servers(service)[names[2]]["enabled"] is False


def test_a_server_that_is_configured_anew_forgets(
    tmp_path: Path, upstream: Upstream, port: int
) -> None:
    config = lb_config(port, [upstream.port, 1])
    with Service(tmp_path, config) as service:
        path = f"/pools/lb.app/servers/127.0.0.1:{upstream.port}"
        assert service.admin("PATCH", path, {"weight": 7})[0] == 200
        server = f'{{ address = "127.0.0.1:{upstream.port}", weight = 3 }}'
        service.write_config(config.replace(f'"127.0.0.1:{upstream.port}"', server))
        service.upgrade()
        assert servers(service)[f"127.0.0.1:{upstream.port}"]["weight"] == 3


def test_what_checks_have_found_counts_from_the_first_request_on(
    tmp_path: Path, upstream: Upstream, port: int
) -> None:
    dead = free_port()
    pool = 'health = {{ kind = "tcp", interval = "{}", fall = 1 }}'
    with Service(
        tmp_path, lb_config(port, [upstream.port, dead], pool=pool.format("50ms"))
    ) as service:
        name = f"127.0.0.1:{dead}"
        wait_until(lambda: not servers(service)[name]["healthy"], timeout_s=10, what="the finding")
        # The new process will not look before the test is over.
        service.write_config(lb_config(port, [upstream.port, dead], pool=pool.format("1h")))
        service.upgrade()
        found = servers(service)[name]
        assert (found["state"], found["healthy"]) == ("unhealthy", False)
        assert found["check"] == "connect: Connection refused (os error 111)"
        assert servers(service)[f"127.0.0.1:{upstream.port}"]["healthy"]


class Slow(Upstream):
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        super().__init__([forever(read_request, self._wait, send(OK))])

    async def _wait(self, _: Connection) -> None:
        await self.answers.wait()

    def release(self) -> None:
        self._loop.call(self._set())

    async def _set(self) -> None:
        self.answers.set()


@pytest.fixture
def slow() -> Iterator[Slow]:
    with Slow() as server:
        yield server


def test_a_request_in_flight_is_answered_by_the_old_one(
    tmp_path: Path, slow: Slow, port: int
) -> None:
    config = lb_config(port, [slow.port])
    with Service(tmp_path, config, grace="40s") as service, Client(port) as client:
        client.send(GET)
        slow.wait_for_requests(1)
        service.upgrade()
        assert service.process.exit_code() is None
        slow.release()
        answer = client.read_response()
        assert (answer.status, answer.value("connection")) == (200, "close")
        assert service.process.wait(10) == 0


def test_those_who_wait_to_be_let_in_are_let_in(tmp_path: Path, slow: Slow, port: int) -> None:
    """One waits at the listener's limit, the others in the queue of the socket."""
    config = lb_config(port, [slow.port], listener="limits.connections = 1")
    with Service(tmp_path, config, grace="40s") as service:
        clients = [Client(port, timeout_s=20) for _ in range(4)]
        for client in clients:
            client.send(GET.replace(b"Host", b"Connection: close\r\nHost"))
        slow.wait_for_requests(1)
        assert not select.select([client.socket for client in clients], [], [], 0.1)[0]
        service.upgrade()
        slow.release()
        assert [client.read_response().status for client in clients] == [200] * 4
        for client in clients:
            client.close()
        assert service.process.wait(20) == 0


def _answer_messages(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


@pytest.fixture
def websocket_server() -> Iterator[Server]:
    with serve(_answer_messages, "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def echoes(websocket: ClientConnection, text: str) -> bool:
    websocket.send(text)
    return websocket.recv(timeout=10) == text


def test_a_websocket_stays_with_the_old_process(
    tmp_path: Path, websocket_server: Server, port: int
) -> None:
    config = lb_config(port, [websocket_server.socket.getsockname()[1]])
    with Service(tmp_path, config, grace="40s") as service:
        with connect(f"ws://127.0.0.1:{port}/") as old:
            assert echoes(old, "before")
            service.upgrade()
            with connect(f"ws://127.0.0.1:{port}/") as new:
                assert echoes(old, "after")
                assert echoes(new, "after")
            assert service.process.exit_code() is None
        assert service.process.wait(10) == 0


def test_a_websocket_ends_with_the_grace_period(
    tmp_path: Path, websocket_server: Server, port: int
) -> None:
    config = lb_config(port, [websocket_server.socket.getsockname()[1]])
    with (
        Service(tmp_path, config, grace="2s") as service,
        connect(f"ws://127.0.0.1:{port}/") as websocket,
    ):
        assert echoes(websocket, "before")
        service.upgrade()
        with pytest.raises(ConnectionClosed):
            websocket.recv(timeout=10)
        assert service.process.wait(10) == 4
        with connect(f"ws://127.0.0.1:{port}/") as new:
            assert echoes(new, "after")


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (3, 2)])
def test_another_number_of_threads(
    tmp_path: Path, upstream: Upstream, port: int, before: int, after: int
) -> None:
    """Each socket has somebody who accepts on it, each thread one to accept on."""
    config = lb_config(port, [upstream.port])
    with Service(tmp_path, config, threads=before) as service:
        text = service.config_path.read_text()
        service.config_path.write_text(text.replace(f"threads = {before}", f"threads = {after}", 1))
        service.upgrade()
        assert service.process.wait(10) == 0
        assert service.status()["workers"] == after
        for _ in range(50):
            with Client(port) as client:
                assert client.request(GET).status == 200
        assert service.upgrade()


def test_listeners_come_and_go(service: Service, upstream: Upstream, port: int) -> None:
    other = free_port()
    service.write_config(lb_config(other, [upstream.port]))
    service.upgrade()
    assert service.process.wait(10) == 0
    assert is_listening(other)
    assert not is_listening(port)


def test_a_second_process_takes_over_from_the_first(service: Service, port: int) -> None:
    """The oldest still drains while the youngest takes over."""
    with Client(port) as client:
        assert client.request(GET).status == 200
        second = service.upgrade()
        third = service.upgrade()
        wait_until_ended(second)
        assert service.process.exit_code() is None
        assert client.request(GET).status == 200
    assert service.process.wait(10) == 0
    assert service.serving_pid == third


def test_without_an_admin_api(tmp_path: Path, upstream: Upstream, port: int) -> None:
    config = tmp_path / "t.toml"
    config.write_text(f"[admin]\nenabled = false\n{lb_config(port, [upstream.port])}")
    command = [sys.executable, "-m", "trunkline", "up", "--config", str(config)]
    with Process(command, directory=tmp_path, name="first") as process:
        process.wait_ready(lambda: is_listening(port))
        process.send(signal.SIGUSR2)
        assert process.wait(20) == 0
        said = [json.loads(line)["message"] for line in process.output().splitlines()]
        (word,) = [message for message in said if "has taken over" in message]
        new = int(word.split()[1])
        assert is_listening(port)
        os.kill(new, signal.SIGTERM)
        wait_until_ended(new)
