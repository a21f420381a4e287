"""`trunkline top`: the numbers, the tables, and the command on a terminal and on a pipe."""

import copy
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from testkit.load import Load
from testkit.ports import free_port
from testkit.service import Service
from testkit.trunkline import Trunkline, lb_config
from testkit.upstream import Upstream
from testkit.waiting import wait_until
from trunkline.core.commands.top_rates import Look, Span
from trunkline.core.commands.top_tables import everything, number

LATENCY = {"count": 10, "total_ms": 50.0, "p50_ms": 4.0, "p90_ms": 8.0, "p99_ms": 9.5}
SERVER = {
    "name": "10.0.0.1:80",
    "state": "eligible",
    "weight": 1,
    "active": 2,
    "idle_connections": 3,
    "requests": 10,
    "check": "status 200",
    "latency": LATENCY,
    "responses": {"2xx": 10},
    "tries": {"failures": 0},
}
STATUS: dict[str, Any] = {
    "process": {"pid": 7, "version": "1.2.3", "ready": True, "draining": False, "uptime_s": 90_061},
    "generation": 3,
    "started_unix_ns": 1,
    "workers": 2,
    "open_connections": 5,
    "listeners": [
        {
            "name": "lb.http.front",
            "addresses": ["0.0.0.0:80"],
            "open_connections": 5,
            "connections_limit": 100_000,
            "accepted": 100,
            "requests": 1_000,
            "failures": {"route_not_found": 1},
        }
    ],
    "routes": [
        {
            "name": "lb.front.default",
            "requests": 1_000,
            "latency": LATENCY,
            "responses": {"2xx": 999, "4xx": 1},
            "body_bytes": {"request": 0, "response": 10_000},
        }
    ],
    "pools": [{"name": "lb.app", "algorithm": "round_robin", "waiting": 0, "servers": [SERVER]}],
    "recent_errors": [
        {
            "time_unix_ns": 1,
            "reason": "route_not_found",
            "status": 404,
            "side": "client",
            "listener": "lb.http.front",
            "route": "",
            "server": "",
        }
    ],
}


def later(seconds: float = 2.0, **changes: Any) -> Span:
    """From the status to one in which some things have changed."""
    after = copy.deepcopy(STATUS)
    after.update(changes)
    return Span(Look(10.0, STATUS), Look(10.0 + seconds, after))


def shown(span: Span, routes: int = 10) -> list[list[str]]:
    """The lines as their words."""
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        console.print(everything(span, routes=routes))
    return [line.split() for line in capture.get().splitlines()]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (0.25, "0.25"),
        (12.34, "12.3"),
        (999.4, "999"),
        (999.6, "1k"),
        (1_500, "1.5k"),
        (123_456, "123k"),
        (999_600, "1M"),
        (2.5e9, "2.5G"),
        (3e12, "3T"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_counters_become_rates() -> None:
    (listener,) = copy.deepcopy(STATUS["listeners"])
    listener |= {"accepted": 110, "requests": 4_000, "failures": {"route_not_found": 3, "x": 2}}
    span = later(listeners=[listener])
    before = span.earlier("listeners", listener)
    assert span.rate(before, listener, "accepted") == 5
    assert span.rate(before, listener, "requests") == 1_500
    assert span.rate(before, listener, "failures") == 2


def test_what_has_not_happened_yet_is_nothing() -> None:
    (route,) = copy.deepcopy(STATUS["routes"])
    route["responses"] = {"2xx": 999, "4xx": 1, "5xx": 8}
    span = later(routes=[route])
    assert span.rate(span.earlier("routes", route), route, "responses", "5xx") == 4
    assert span.rate(span.earlier("routes", route), route, "responses", "3xx") == 0


def test_the_mean_is_that_of_the_time_between() -> None:
    server = {**SERVER, "latency": {**LATENCY, "count": 14, "total_ms": 58.0}}
    pool = {**STATUS["pools"][0], "servers": [server]}
    span = later(pools=[pool])
    assert span.mean_ms(span.earlier_server(pool, server), server) == 2
    assert later().mean_ms(SERVER, SERVER) is None


@pytest.mark.parametrize(
    "after",
    [
        {"started_unix_ns": 2},
        {"listeners": [{**STATUS["listeners"][0], "name": "new"}]},
        {"listeners": [{**STATUS["listeners"][0], "requests": 1}]},
    ],
)
def test_counters_that_began_anew_have_no_rate(after: dict[str, Any]) -> None:
    """Another process took over, or a reload brought something new."""
    span = later(**after)
    (listener,) = span.after["listeners"]
    assert span.rate(span.earlier("listeners", listener), listener, "requests") in {None, 0}
    if "listeners" in after:
        assert span.rate(span.earlier("listeners", listener), listener, "requests") is None
    assert shown(span)


def test_the_tables() -> None:
    lines = shown(later())
    assert " ".join(lines[0]) == (
        "trunkline 1.2.3 · process 7 · ready · up 1d 1h · configuration 3 · 2 threads · "
        "5 connections"
    )
    assert ["lb.http.front", "0.0.0.0:80", "5", "of", "100k", "0", "0", "0"] in lines
    assert [
        "10.0.0.1:80",
        "eligible",
        "1",
        "2",
        "3",
        "0",
        "0",
        "-",
        "9.5",
        "status",
        "200",
    ] in lines
    assert ["lb.front.default", "0", "0", "0", "0", "-", "9.5"] in lines
    (failure,) = [line for line in lines if "route_not_found" in line]
    assert failure[1:] == ["route_not_found", "404", "client", "lb.http.front"]


def test_the_busiest_routes_come_first() -> None:
    (route,) = STATUS["routes"]
    before = [{**route, "name": name} for name in ("a", "b", "c")]
    after = [{**each, "requests": 1_000 + n} for n, each in enumerate(before)]
    first = {**STATUS, "routes": before}
    lines = shown(Span(Look(0, first), Look(1, {**STATUS, "routes": after})), routes=2)
    assert [line[0] for line in lines if line and line[0] in "abc"] == ["c", "b"]
    assert any("(1 less busy ones not shown)" in " ".join(line) for line in lines)


def test_one_table_of_a_running_one(tmp_path: Path, upstream: Upstream, port: int) -> None:
    with Service(tmp_path, lb_config(port, [upstream.port])) as service:
        with Load(port, kept=1, single=1) as load:
            wait_until(lambda: load.answered > 10, timeout_s=10, what="answers")
            done = service.command("top", "--once", "--interval", "0.5")
        assert (done.returncode, done.stderr) == (0, "")
        lines = [line.split() for line in done.stdout.splitlines()]
        (listener,) = [line for line in lines if line[:1] == ["lb.http.front"]]
        assert listener[1] == f"127.0.0.1:{port}"
        assert float(listener[-3]) > 0
        (server,) = [line for line in lines if line[:1] == [f"127.0.0.1:{upstream.port}"]]
        assert server[1] == "eligible"
        assert "\x1b" not in done.stdout


def test_a_pipe_gets_one_table(running: Trunkline, tmp_path: Path) -> None:
    environment = {**os.environ, "TRUNKLINE_STATE_DIR": str(tmp_path / "state")}
    command = [sys.executable, "-m", "trunkline", "top", "--interval", "0.1"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.count("configuration") == 1


def test_on_a_terminal_until_it_is_interrupted(running: Trunkline, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "trunkline", "top", "--interval", "0.1"],
        env={**os.environ, "TRUNKLINE_STATE_DIR": str(tmp_path / "state"), "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while said.count(b"configuration") < 3:
        said += os.read(ours, 65_536)
    process.send_signal(signal.SIGINT)
    while process.poll() is None:
        drain(ours)
    os.close(ours)
    assert process.returncode == 0
    assert b"Traceback" not in said


def drain(descriptor: int) -> None:
    """A terminal that nobody reads from would hold the process up."""
    try:
        os.read(descriptor, 65_536)
    except OSError:
        return


def test_nobody_to_ask(tmp_path: Path) -> None:
    environment = {**os.environ, "TRUNKLINE_ADMIN_URL": f"http://127.0.0.1:{free_port()}"}
    command = [sys.executable, "-m", "trunkline", "top", "--once"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 3
    assert "Connection refused" in done.stderr
