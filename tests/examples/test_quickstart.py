"""The quick start as a new user meets it: every printed command, a killed service, a clean end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from testkit.process import Process

RUN = Path(__file__).parents[2] / "examples" / "quickstart" / "run.py"
# Three services and trunkline start one after the other, on two cores that others use too.
START_TIMEOUT_S = 50

# What the output of each printed command must look like.
EXPECTED = {
    "Browse; X-Served-By says which service answered": r"(?is)^HTTP/1.1 200 .*x-served-by: shop-",
    "One product: the path parameter is passed on": r"(?s)^HTTP/1.1 200 .*\"compass\"",
    "What the service sees of a request": r"(?i)x-request-id.*",
    "Order without a key: 401": r"^HTTP/1.1 401 ",
    "Order with the API key: 201": r"(?s)^HTTP/1.1 201 .*\"customer\":\"alice\"",
    "The account, with a JSON Web Token": r"(?s)^HTTP/1.1 200 .*\"customer\":\"alice\"",
    "Six at once where five are allowed: 200 until 429": r"^(200\n){5}429\n$",
    "A failing service: 500 until the breaker opens, then its fallback": r"^(500\n){5}(200\n){2}$",
    "Which route, what each filter says, which server": r"gateway\.product",
    "Health of every server": r"pool gateway\.shop",
    "The same as JSON, from the admin API": r"\"gateway\.shop\"",
    "Prometheus metrics": r"(?m)^# TYPE trunkline_\w+ counter$",
    "After you changed the configuration": r"^reloaded: generation \d+",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the quick start runs; the printed commands are relative to it."""
    return tmp_path_factory.mktemp("quickstart")


@pytest.fixture(scope="module")
def quick_start(directory: Path) -> Iterator[Process]:
    command = [sys.executable, str(RUN), "--free-ports", "--json", "--directory", str(directory)]
    with Process(command, directory=directory, name="quickstart") as process:
        yield process.wait_ready(lambda: ready_line(process), timeout_s=START_TIMEOUT_S)


@pytest.fixture(scope="module")
def record(quick_start: Process) -> dict[str, Any]:
    line = ready_line(quick_start)
    assert line is not None
    return dict(json.loads(line[0]))


def ready_line(process: Process) -> re.Match[str] | None:
    return re.search(r"^\{.*\}$", process.output(), re.M)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("title", EXPECTED)
def test_printed_command(record: dict[str, Any], directory: Path, title: str) -> None:
    commands = {step["title"]: step["command"] for step in record["steps"]}
    shell = subprocess.run(
        ["bash", "-c", commands[title]],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert re.search(EXPECTED[title], shell.stdout), shell.stdout


def test_each_printed_command_is_tested(record: dict[str, Any]) -> None:
    assert {step["title"] for step in record["steps"]} == set(EXPECTED)


def test_requests_continue_when_a_service_is_killed(record: dict[str, Any]) -> None:
    os.kill(next(iter(record["service_pids"].values())), signal.SIGKILL)
    with httpx.Client(base_url=record["front_url"]) as client:
        statuses = {client.get("/shop/products").status_code for _ in range(200)}
    assert statuses == {200}


def test_it_stops_cleanly(quick_start: Process, record: dict[str, Any]) -> None:
    assert quick_start.stop(timeout_s=30) == 0
    assert not Path(f"/proc/{record['trunkline_pid']}").exists()
    for pid in record["service_pids"].values():
        assert not Path(f"/proc/{pid}").exists()


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as other:
        with suppress(OSError):  # then somebody else has it, which is as good
            other.bind(("127.0.0.1", 9103))
            other.listen()
        command = [sys.executable, str(RUN), "--directory", str(tmp_path)]
        ended = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=START_TIMEOUT_S
        )
        assert ended.returncode == 1
        assert re.match(r"ports in use: .*\b9103\b", ended.stderr)
        assert ended.stdout == ""
