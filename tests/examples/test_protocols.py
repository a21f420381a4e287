"""The front door that speaks everything, as a user meets it: each printed command, a clean end."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from testkit.process import Process

START = Path(__file__).parents[2] / "examples" / "protocols" / "start.py"
START_TIMEOUT_S = 50
CALLS = (
    r"^Price\(compass\): 2450\n(Watch\(kettle\): \d+\n){3}Total\(lantern, kettle\): 5100\n"
    r"(Haggle: more, please\n){2}Haggle: sold\nPrice\(moon\): NOT_FOUND: no product moon\n$"
)
PAGE = r"(?s)^{} 200 .*\r\n\r\nhello from (blue|green)\n$"

# What the output of each printed command must look like.
EXPECTED = {
    "HTTP/1.1": PAGE.format("HTTP/1.1"),
    "HTTP/2 without TLS": PAGE.format("HTTP/2"),
    "HTTP/2 over TLS, by ALPN": PAGE.format("HTTP/2"),
    "HTTP/1.1 over TLS": PAGE.format("HTTP/1.1"),
    "What a server sees of it": r"\"X-Forwarded-Proto\": \"https\"",
    "Compressed, if the client takes it": r"(?i)\r\ncontent-encoding: (zstd|br|gzip)\r\n",
    "Nine of ten from blue, one from green": r"^ +1[6-9] hello from blue\n +[1-4] hello from green",
    "Events, each as it comes": r"^data: 1 of 5, .*\n(.*\n)+data: 5 of 5, .*\n\n$",
    "WebSocket": r"^connected; extensions: permessage-deflate\nHELLO\nARE YOU THERE\?\n$",
    "WebSocket over TLS": r"^connected; extensions: permessage-deflate\nHELLO\n$",
    "gRPC, all four kinds of calls": CALLS,
    "gRPC over TLS": CALLS,
    "gRPC-Web: a browser asks what a compass costs": r"2450\n+[^\n]?\n*grpc-status: 0\n",
    "A method that nobody has: a status of gRPC, no page": r"(?s)^HTTP/1.1 200 .*grpc-status: 12",
    "Behind a relay": r"(?s)^HTTP/1.1 200 .*\"X-Forwarded-For\": \"127.0.0.1\"",
    "Past the relay: closed": r"^turned away\n$",
    "HTTP/2 under load": r"protocol: h2\n(.*\n)+requests: .* 2000 succeeded, 0 failed",
    "HTTP/1.1 under load": r"(?s)^(?!.*Non-2xx)(?!.*Socket errors).* requests in ",
    "Every server": r"pool gateway\.shop",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it runs; the printed commands are relative to it."""
    return tmp_path_factory.mktemp("protocols")


@pytest.fixture(scope="module")
def front_door(directory: Path) -> Iterator[Process]:
    options = ["--free-ports", "--json", "--directory", str(directory)]
    command = [sys.executable, str(START), *options]
    with Process(command, directory=directory, name="protocols") as process:
        yield process.wait_ready(lambda: ready_line(process), timeout_s=START_TIMEOUT_S)


@pytest.fixture(scope="module")
def record(front_door: Process) -> dict[str, Any]:
    line = ready_line(front_door)
    assert line is not None
    return dict(json.loads(line[0]))


def ready_line(process: Process) -> re.Match[str] | None:
    return re.search(r"^\{.*\}$", process.output(), re.M)


@pytest.mark.parametrize("title", EXPECTED)
def test_printed_command(record: dict[str, Any], directory: Path, title: str) -> None:
    commands = {way["title"]: way["command"] for way in record["ways"]}
    shell = subprocess.run(
        ["bash", "-c", commands[title]],
        cwd=directory,
        capture_output=True,
        timeout=30,
        check=True,
    )
    output = shell.stdout.decode()
    assert re.search(EXPECTED[title], output), output


def test_each_printed_command_is_tested(record: dict[str, Any]) -> None:
    assert [way["title"] for way in record["ways"]] == list(EXPECTED)


def test_it_stops_cleanly(front_door: Process, record: dict[str, Any]) -> None:
    assert front_door.stop(timeout_s=30) == 0
    assert not Path(f"/proc/{record['pid']}").exists()


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as other:
        with suppress(OSError):  # then somebody else has it, which is as good
            other.bind(("127.0.0.1", 9183))
            other.listen()
        command = [sys.executable, str(START), "--directory", str(tmp_path)]
        ended = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=START_TIMEOUT_S
        )
    assert ended.returncode == 1
    assert re.match(r"ports in use: .*\b9183\b", ended.stderr)
    assert ended.stdout == ""
