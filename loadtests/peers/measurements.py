"""The five kinds of measurement: how one figure set of one running subject is taken.

Each takes a running subject and gives a flat table of figures. CPU time is that of all processes
and threads of the proxy between two reads around the generator's run, so the generator's own start
(a few milliseconds without load) is inside; it is the same for all.
"""

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from loadtests.peers.cases import Case
from loadtests.peers.generator import Target, run_h2load, run_wrk, run_wrk_paced
from loadtests.peers.subjects import Subject

Figures = dict[str, float]
_WARM_UP_S = 1
# Few, so that memory per connection is still untouched when connections are measured.
_WARM_UP_CONNECTIONS = 64
_SWAP_INTERVAL_S = 1.0
# 64 connections that pause 2 ms on average ask about 30 000 times a second: a third of full speed.
_SWAP_PAUSE_MS = 2.0


@dataclass(frozen=True)
class Run:
    """One subject, one case, one round.

    Attributes:
        subject: Running and warm.
        case: What to measure.
        target: For the generator.
        seconds: Measured time.
        half_load: Requests per second for the kind of that name.
        log: Scratch file for h2load.
    """

    subject: Subject
    case: Case
    target: Target
    seconds: float
    half_load: float
    log: Path


def measure(run: Run) -> Figures:
    """Warm up, measure by the case's kind, add the memory after it."""
    run_wrk(replace(run.target, connections=_WARM_UP_CONNECTIONS), _WARM_UP_S)
    return {**_MEASUREMENTS[run.case.kind](run), "rss_bytes": run.subject.rss_bytes()}


def _full_speed(run: Run) -> Figures:
    before_s = run.subject.cpu_seconds()
    load = run_wrk(run.target, run.seconds)
    cpu_s = run.subject.cpu_seconds() - before_s
    return {
        **load.figures(),
        "cpu_s": cpu_s,
        "cpu_share": cpu_s / load.duration_s,
        "requests_per_cpu_second": load.requests / cpu_s,
        "bytes_per_cpu_second": load.response_bytes / cpu_s,
    }


def _half_load(run: Run) -> Figures:
    before_s = run.subject.cpu_seconds()
    load = run_h2load(run.target, run.seconds, run.half_load, run.log)
    cpu_s = run.subject.cpu_seconds() - before_s
    return {**load.figures(), "cpu_s": cpu_s, "cpu_share": cpu_s / load.duration_s}


def _swap(run: Run) -> Figures:
    """The same load twice: left alone, and with a new configuration every second."""
    quiet = run_wrk_paced(run.target, run.seconds, _SWAP_PAUSE_MS)
    over = threading.Event()
    swapper = threading.Thread(target=_swap_until, args=(run.subject, over))
    swapper.start()
    try:
        load = run_wrk_paced(run.target, run.seconds, _SWAP_PAUSE_MS)
    finally:
        over.set()
        swapper.join()
    return {
        **load.figures(),
        "quiet_p99_us": quiet.p99_us,
        "quiet_failed": quiet.failed,
        "p99_over_quiet": load.p99_us / quiet.p99_us,
    }


def _swap_until(subject: Subject, over: threading.Event) -> None:
    while not over.wait(_SWAP_INTERVAL_S):
        subject.reload()


def _idle(run: Run) -> Figures:
    """Memory of connections that asked once and then stay silent."""
    before_bytes = run.subject.rss_bytes()
    with ExitStack() as stack:
        for _ in range(run.case.connections):
            _ask_once(stack.enter_context(socket.socket()), run)
        grown_bytes = run.subject.rss_bytes() - before_bytes
    return {"rss_bytes_per_connection": grown_bytes / run.case.connections, "failed": 0}


def _ask_once(client: socket.socket, run: Run) -> None:
    client.settimeout(10)
    client.connect(("127.0.0.1", run.subject.setup.port))
    client.sendall(f"GET {run.case.body} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    # Head and 64-byte body fit one segment, and the backend sends them in one write.
    if not client.recv(4096).startswith(b"HTTP/1.1 200"):
        raise ConnectionError(f"{run.subject.name} refused a connection it should keep idle")


_MEASUREMENTS: dict[str, Callable[[Run], Figures]] = {
    "requests": _full_speed,
    "bytes": _full_speed,
    "half_load": _half_load,
    "swap": _swap,
    "idle": _idle,
}
