"""Start, signals, reload, drain, stop: a real process under real requests."""

import asyncio
import json
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from testkit.load import Load
from testkit.nameserver import Nameserver
from testkit.ports import free_port, is_listening
from testkit.process import Process
from testkit.trunkline import Trunkline, lb_config
from testkit.upstream import OK, Connection, Upstream, read_request, send
from testkit.waiting import wait_until
from trunkline.cli import load_roles
from trunkline.core.admin.server import wanted_address
from trunkline.core.config.load import load
from trunkline.core.config.values import Address

Get = Callable[[str], httpx.Response]


def log(running: Trunkline) -> list[dict[str, Any]]:
    """The messages so far: one JSON object a line."""
    return [json.loads(line) for line in running.process.output().splitlines()]


def wait_for_message(running: Trunkline, message: str) -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        return [entry for entry in log(running) if entry["message"].startswith(message)]

    wait_until(found, timeout_s=10, what=f"the message {message!r}")
    return found()[0]


def wait_for_generation(running: Trunkline, number: int) -> None:
    def taken() -> bool:
        return log(running)[-1].get("generation") == number

    wait_until(taken, timeout_s=10, what=f"configuration {number}")


def test_it_serves(running: Trunkline, tmp_path: Path, get: Get) -> None:
    assert get("/").text == "ok"
    assert (tmp_path / "ready").read_text() == f"{running.pid}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it(
    running: Trunkline, tmp_path: Path, port: int, number: signal.Signals
) -> None:
    running.send(number)
    assert running.process.wait(10) == 0
    assert log(running)[-1]["message"] == "stopped: every request finished"
    assert not (tmp_path / "ready").exists()
    assert not list((tmp_path / "state").iterdir())
    assert not is_listening(port)


class Held:
    """A request that the upstream has read and does not answer before `release`."""

    def __init__(self, upstream: Upstream, port: int) -> None:
        self.outcome: httpx.Response | httpx.HTTPError | None = None
        self.release = threading.Event()
        upstream.script([read_request, self._wait, send(OK)])
        self._thread = threading.Thread(target=self._ask, args=(f"http://127.0.0.1:{port}/",))
        self._thread.start()
        upstream.wait_for_requests(1)

    def finish(self) -> httpx.Response | httpx.HTTPError | None:
        """Let the upstream answer; what came of it."""
        self.release.set()
        self._thread.join(20)
        return self.outcome

    async def _wait(self, _: Connection) -> None:
        await asyncio.to_thread(self.release.wait, 20)

    def _ask(self, url: str) -> None:
        try:
            self.outcome = httpx.get(url, trust_env=False, timeout=20)
        except httpx.HTTPError as error:
            self.outcome = error


@pytest.fixture
def held(running: Trunkline, upstream: Upstream, port: int) -> Iterator[Held]:
    request = Held(upstream, port)
    yield request
    request.finish()


def test_a_request_in_flight_finishes(running: Trunkline, port: int, held: Held) -> None:
    running.send(signal.SIGTERM)
    wait_until(lambda: not is_listening(port), timeout_s=10, what="no more accepting")
    answer = held.finish()
    assert isinstance(answer, httpx.Response)
    assert answer.text == "ok"
    assert running.process.wait(10) == 0


def test_the_grace_period_ends(running: Trunkline, held: Held) -> None:
    running.send(signal.SIGTERM)
    assert running.process.wait(10) == 4
    answer = held.finish()
    assert isinstance(answer, httpx.Response)
    assert answer.status_code == 503


def test_the_second_signal_stops_at_once(running: Trunkline, held: Held) -> None:
    running.send(signal.SIGINT)
    wait_for_message(running, "draining")
    running.send(signal.SIGINT)
    assert running.process.wait(1) == 128 + signal.SIGINT
    assert isinstance(held.finish(), httpx.HTTPError)


@pytest.fixture
def statuses(running: Trunkline, get: Get) -> Iterator[list[int]]:
    """Requests one after the other on a kept connection: their statuses, 0 for a failure."""
    seen: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                seen.append(get("/").status_code)
            except httpx.HTTPError:
                seen.append(0)

    thread = threading.Thread(target=ask)
    thread.start()
    yield seen
    stop.set()
    thread.join(20)


def test_hangup_reloads_without_a_failed_request(
    running: Trunkline, upstream: Upstream, port: int, statuses: list[int]
) -> None:
    for number in range(2, 12):
        routes = f'[[lb.http.front.routes]]\npath = "/{number}"\npool = "app"\n'
        running.write_config(lb_config(port, [upstream.port]) + routes)
        running.send(signal.SIGHUP)
        wait_for_generation(running, number)
    enough = len(statuses) + 10
    wait_until(lambda: len(statuses) > enough, timeout_s=10, what="more requests")
    assert set(statuses) == {200}
    assert upstream.connection_count == 1


def test_a_new_listener_opens_and_an_old_one_closes(
    running: Trunkline, upstream: Upstream, port: int
) -> None:
    other = free_port()
    running.write_config(lb_config(other, [upstream.port]))
    running.send(signal.SIGHUP)
    wait_until(lambda: is_listening(other), timeout_s=10, what="the new listener")
    wait_until(lambda: not is_listening(port), timeout_s=10, what="the end of the old listener")


def test_a_listener_that_is_renamed_loses_nobody(
    running: Trunkline, upstream: Upstream, port: int
) -> None:
    """The sockets stay, and with them who waits in their queues."""
    text = lb_config(port, [upstream.port])
    with Load(port, kept=2, single=2) as load:
        for number in range(2, 12):
            running.write_config(text.replace("lb.http.front", f"lb.http.front{number}", 1))
            running.send(signal.SIGHUP)
            wait_for_generation(running, number)
        enough = load.answered + 10
        wait_until(lambda: load.answered > enough, timeout_s=10, what="more answers")
    assert load.failures == []


def test_an_end_takes_up_nothing_new(running: Trunkline, port: int, held: Held) -> None:
    running.send(signal.SIGTERM)
    wait_until(lambda: not is_listening(port), timeout_s=10, what="no more accepting")
    assert running.reload() == (409, {"detail": "this process is about to end"})
    status, answer = running.admin("POST", "/upgrade")
    assert (status, answer) == (409, {"detail": "this process is about to end"})
    assert isinstance(held.finish(), httpx.Response)


def test_a_reload_that_is_under_way_does_not_outlive_the_end(
    tmp_path: Path, upstream: Upstream, port: int
) -> None:
    """It waits for servers to be found when the process is told to stop."""
    other = free_port()
    with (
        Nameserver({}) as nameserver,
        Trunkline(tmp_path, lb_config(port, [upstream.port]), grace="20s") as running,
    ):
        held = Held(upstream, port)
        nameserver.silent = True
        found = (
            f'discover = {{ kind = "dns", name = "app.test", port = 1, '
            f'nameservers = ["{nameserver.address}"] }}'
        )
        running.write_config(lb_config(other, [upstream.port], pool=found))
        running.send(signal.SIGHUP)
        wait_until(lambda: nameserver.asked("app.test"), timeout_s=10, what="a question")
        running.send(signal.SIGTERM)
        wait_for_message(running, "not reloaded: this process is about to end")
        assert not is_listening(other)
        assert not is_listening(port)
        assert isinstance(held.finish(), httpx.Response)
        assert running.process.wait(10) == 0


def test_an_unsound_file_changes_nothing(running: Trunkline, port: int, get: Get) -> None:
    running.write_config(lb_config(port, []))
    running.send(signal.SIGHUP)
    refusal = wait_for_message(running, "reload refused")["message"]
    assert refusal.endswith("lb.pools.app.servers: must not be empty")
    wait_for_message(running, "the old configuration keeps running")
    assert get("/").status_code == 200


def test_a_taken_address_stops_the_start(tmp_path: Path) -> None:
    config = tmp_path / "t.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config.write_text("[admin]\nenabled = false\n" + lb_config(taken.getsockname()[1], [1]))
        command = [sys.executable, "-m", "trunkline", "up", "--config", str(config)]
        with Process(command, directory=tmp_path, name="second") as process:
            assert process.wait(10) == 1
            line = f"{config}:4: lb.http.front.listen[0]: cannot listen on 127.0.0.1:"
            assert process.output().startswith(line)
            assert "in use" in process.output()


def test_a_taken_admin_address_stops_the_start(tmp_path: Path) -> None:
    config = tmp_path / "t.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config.write_text(f'[admin]\nlisten = "{address}"\n{lb_config(free_port(), [1])}')
        command = [sys.executable, "-m", "trunkline", "up", "--config", str(config)]
        with Process(command, directory=tmp_path, name="second") as process:
            assert process.wait(10) == 1
            expected = f"{config}:2: admin.listen: cannot listen on {address}: "
            assert process.output() == f"{expected}Address already in use\n"


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:9901", Address("127.0.0.1", 0)),
        ("0.0.0.0:9901", Address("127.0.0.1", 0)),
        ("[::]:9901", None),
        ("127.0.0.2:9901", None),
        ("127.0.0.1:9902", None),
    ],
)
def test_the_admin_api_leaves_its_default_address_to_a_listener(
    tmp_path: Path, listen: str, expected: Address | None
) -> None:
    file = tmp_path / "t.toml"
    file.write_text(lb_config(1, [2]).replace("127.0.0.1:1", listen, 1))
    assert wanted_address(load(file, load_roles())) == expected
    file.write_text(f'[admin]\nlisten = "127.0.0.1:9903"\n{file.read_text()}')
    assert wanted_address(load(file, load_roles())) == Address("127.0.0.1", 9903)
