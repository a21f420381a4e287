"""What systemd is told, and what it hands over: the tests play systemd."""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testkit.client import Client
from testkit.ports import free_port, is_listening
from testkit.process import Process
from testkit.service import Service
from testkit.systemd import Manager, activation, launcher, listening_socket
from testkit.trunkline import lb_config
from testkit.upstream import Upstream
from trunkline.core.systemd.activation import take_sockets
from trunkline.core.systemd.notify import Notifier

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with Manager(tmp_path) as manager:
        yield manager


@pytest.fixture
def service(tmp_path: Path, manager: Manager, upstream: Upstream, port: int) -> Iterator[Service]:
    config = lb_config(port, [upstream.port])
    with Service(tmp_path, config, environment=manager.environment, grace="20s") as service:
        yield service


# --- what it is told ------------------------------------------------------------------------------


def test_ready_and_stopping(manager: Manager, service: Service) -> None:
    pid, message = manager.receive()
    assert pid == service.pid
    assert message["READY"] == "1"
    assert message["STATUS"] == "serving 1 listeners on 1 threads, configuration 1"
    assert service.process.stop() == 0
    assert manager.receive() == (service.pid, {"STOPPING": "1", "STATUS": "draining"})


@pytest.mark.parametrize("is_sound", [True, False])
def test_a_reload(manager: Manager, service: Service, is_sound: bool) -> None:
    """Ready again whatever came of it: an unsound file changes nothing."""
    manager.receive()
    before_us = time.monotonic_ns() // 1_000
    if not is_sound:
        service.write_config("[lb]\nnonsense = 1\n")
    service.send(signal.SIGHUP)
    _, begun = manager.receive()
    assert begun["RELOADING"] == "1"
    assert before_us <= int(begun["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1_000
    _, over = manager.receive()
    assert over["READY"] == "1"
    assert over["STATUS"].endswith(f"configuration {2 if is_sound else 1}")


def test_an_upgrade(manager: Manager, service: Service) -> None:
    """The old process names its successor, which then speaks for itself; the old one is silent."""
    manager.receive()
    new = service.upgrade()
    assert manager.receive() == (service.pid, {"MAINPID": str(new)})
    pid, message = manager.receive()
    assert (pid, message["READY"]) == (new, "1")
    assert service.process.wait(20) == 0
    os.kill(new, signal.SIGTERM)
    assert manager.receive() == (new, {"STOPPING": "1", "STATUS": "draining"})


def test_an_upgrade_that_fails(manager: Manager, service: Service) -> None:
    manager.receive()
    service.write_config("[lb]\nnonsense = 1\n")
    assert service.admin("POST", "/upgrade")[0] == 422
    assert service.process.stop() == 0
    assert manager.receive()[1]["STOPPING"] == "1"


def test_the_watchdog(tmp_path: Path, manager: Manager, upstream: Upstream, port: int) -> None:
    environment = {**manager.environment, "WATCHDOG_USEC": "100000"}
    config = lb_config(port, [upstream.port])
    with Service(tmp_path, config, environment=environment) as service:
        for _ in range(3):
            assert manager.wait_for("WATCHDOG") == (service.pid, {"WATCHDOG": "1"})
        new = service.upgrade()
        manager.wait_for("MAINPID")
        manager.wait_for("READY")
        assert manager.wait_for("WATCHDOG")[0] == new


def test_a_watchdog_of_another_process(manager: Manager) -> None:
    notifier = Notifier({**manager.environment, "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"})
    with pytest.raises(StopIteration):
        notifier.keep_alive().send(None)


def test_an_abstract_socket() -> None:
    name = f"trunkline-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).stopping("bye")
        assert listening.recv(100) == b"STOPPING=1\nSTATUS=bye"


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "nonsense"])
def test_nobody_listens(address: str) -> None:
    def status() -> str:
        raise AssertionError("nobody asked")

    notifier = Notifier({"NOTIFY_SOCKET": address})
    notifier.ready(status)
    notifier.hand_over(1)


def test_a_manager_that_has_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")}).stopping("bye")
    assert "the service manager does not listen" in caplog.text


# --- what it hands over ---------------------------------------------------------------------------


def start(tmp_path: Path, config: str, given: list[socket.socket], *, threads: int = 1) -> Service:
    descriptors = [each.fileno() for each in given]
    return Service(
        tmp_path,
        config,
        threads=threads,
        grace="20s",
        command_prefix=launcher(descriptors),
        environment=activation([f"name{number}" for number in range(len(given))]),
        pass_fds=descriptors,
    )


def port_of(given: socket.socket) -> int:
    port: int = given.getsockname()[1]
    return port


@pytest.mark.parametrize("threads", [1, 3])
def test_a_socket_for_a_listener(tmp_path: Path, upstream: Upstream, threads: int) -> None:
    """Who connected before the start is served; all threads accept from the one socket."""
    with listening_socket("127.0.0.1") as given, Client(port_of(given), timeout_s=20) as early:
        early.send(GET)
        config = lb_config(port_of(given), [upstream.port])
        with start(tmp_path, config, [given], threads=threads):
            assert early.read_response().status == 200
            for _ in range(20):
                with Client(port_of(given)) as client:
                    assert client.request(GET).status == 200


def test_the_socket_outlives_the_service(tmp_path: Path, upstream: Upstream) -> None:
    """Who connects between two starts waits."""
    with listening_socket("127.0.0.1") as given:
        config = lb_config(port_of(given), [upstream.port])
        with start(tmp_path, config, [given]) as first:
            assert first.process.stop() == 0
        with Client(port_of(given), timeout_s=20) as between:
            between.send(GET)
            with start(tmp_path, config, [given]):
                assert between.read_response().status == 200


def test_sockets_are_told_by_their_addresses(tmp_path: Path, upstream: Upstream) -> None:
    """In any order, and the listener without one binds its own."""
    own = free_port()
    with listening_socket("127.0.0.1") as one, listening_socket("127.0.0.1") as two:
        ports = [port_of(two), own, port_of(one)]
        listeners = "".join(
            f'[lb.http.l{port}]\nlisten = "127.0.0.1:{port}"\npool = "app"\n' for port in ports
        )
        pool = f'[lb.pools.app]\nservers = ["127.0.0.1:{upstream.port}"]\n'
        with start(tmp_path, listeners + pool, [one, two]) as service:
            for port in ports:
                assert httpx.get(f"http://127.0.0.1:{port}", trust_env=False).status_code == 200
            requests = {each["name"]: each["accepted"] for each in service.status()["listeners"]}
            assert requests == {f"lb.http.l{port}": 1 for port in ports}


def test_a_socket_of_both_families(tmp_path: Path, upstream: Upstream) -> None:
    """`ListenStream=80` opens `[::]:80` for IPv4 too; the client's address is IPv4 all the same."""
    with listening_socket("::", both_families=True) as given:
        config = lb_config(port_of(given), [upstream.port])
        with start(tmp_path, config.replace("127.0.0.1", "0.0.0.0", 1), [given]) as service:
            assert (
                httpx.get(f"http://127.0.0.1:{port_of(given)}", trust_env=False).status_code == 200
            )
            (line,) = service.access_log()
            assert line["client"] == "127.0.0.1"


def test_a_socket_for_the_admin_api(tmp_path: Path, port: int) -> None:
    with listening_socket("127.0.0.1") as given:
        config = tmp_path / "t.toml"
        address = f"127.0.0.1:{port_of(given)}"
        config.write_text(f'[admin]\nlisten = "{address}"\n{lb_config(port, [1])}')
        descriptors = [given.fileno()]
        command = [sys.executable, "-m", "trunkline", "up", "--config", str(config)]
        state = {"TRUNKLINE_STATE_DIR": str(tmp_path / "state")}
        with Process(
            [*launcher(descriptors), *command],
            directory=tmp_path,
            name="trunkline",
            environment={**activation(["admin"]), **state},
            pass_fds=descriptors,
        ) as process:
            process.wait_ready(lambda: is_listening(port))
            answer = httpx.get(f"http://{address}/readyz", trust_env=False, timeout=20)
            assert answer.status_code == 200
            assert "no listener is on" not in process.output()


def test_a_socket_that_nobody_wants(tmp_path: Path, upstream: Upstream, port: int) -> None:
    given = listening_socket("127.0.0.1")
    with given, start(tmp_path, lb_config(port, [upstream.port]), [given]) as service:
        said = service.wait_for_message("no listener is on")
        assert said["level"] == "warning"
        assert f"127.0.0.1:{port_of(given)}" in said["message"]


def test_an_upgrade_hands_them_on(tmp_path: Path, upstream: Upstream) -> None:
    with listening_socket("127.0.0.1") as given:
        config = lb_config(port_of(given), [upstream.port])
        with start(tmp_path, config, [given], threads=2) as service:
            for _ in range(3):
                service.upgrade()
                with Client(port_of(given)) as client:
                    assert client.request(GET).status == 200
        assert is_listening(port_of(given))


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({}, 1),
        ({"LISTEN_PID": "1"}, 0),
        ({"LISTEN_FDS": "nonsense"}, 0),
        ({"LISTEN_FDS": ""}, 0),
        ({"LISTEN_FDNAMES": ""}, 1),
    ],
)
def test_for_whom_they_are(changes: dict[str, str], taken: int) -> None:
    given = listening_socket("127.0.0.1")
    environment = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "web"}
    environment |= changes
    found = take_sockets(environment, given.fileno())
    assert environment == {}
    assert len(found) == taken
    for each in found:
        assert not each.get_inheritable()
        assert each.detach() == given.fileno()
    given.close()


def test_what_is_no_listening_socket(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    unconnected = socket.socket()
    number = unconnected.detach()
    environment = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "udp"}
    assert take_sockets(dict(environment), number) == []
    assert f"socket udp (descriptor {number}) is no listening TCP socket: closed" in caplog.text
    assert take_sockets(dict(environment), number) == []
    assert "Bad file descriptor" in caplog.text
