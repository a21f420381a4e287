"""The kinds of measurement: how one figure set of one running subject is taken.

Each takes a running subject and gives a flat table of figures. CPU time is that of all processes
and threads of the proxy between two reads around the generator's run, so the generator's own start
(a few milliseconds without load) is inside; it is the same for all.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from loadtests.peers.cases import Case
from loadtests.peers.generator import (
    Load,
    Target,
    run_h2load,
    run_h2load_streams,
    run_wrk,
    run_wrk_paced,
)
from loadtests.peers.idle import IdleClient
from loadtests.peers.loadgen import run_handshakes, run_websocket
from loadtests.peers.subjects import Subject

Figures = dict[str, float]
_WARM_UP_S = 1
# Few, so that memory per connection is still untouched when connections are measured.
_WARM_UP_CONNECTIONS = 64
_SWAP_INTERVAL_S = 1.0
# 64 connections that pause 2 ms on average ask about 30 000 times a second: a third of full speed.
_SWAP_PAUSE_MS = 2.0
# Of each message with its echo the proxy relayed one there and one back.
_RELAYED_PER_ECHO = 2
_HANDSHAKE_KINDS = {"full_handshakes", "resumed_handshakes"}


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

    def load(self, seconds: float) -> Load:
        """The case's work at full speed."""
        case, setup = self.case, self.subject.setup
        if case.kind in _HANDSHAKE_KINDS:
            resumed = case.kind == "resumed_handshakes"
            return run_handshakes(self.target, setup.port, seconds, resumed=resumed)
        if case.kind == "messages":
            port = setup.backend.websocket_port
            return run_websocket(self.target, setup.port, port, seconds, case.in_flight)
        if case.http2:
            return run_h2load_streams(self.target, seconds, case.in_flight)
        return run_wrk(self.target, seconds)


def measure(run: Run) -> Figures:
    """Warm up, measure by the case's kind, add the memory after it."""
    connections = min(run.case.connections, _WARM_UP_CONNECTIONS)
    replace(run, target=replace(run.target, connections=connections)).load(_WARM_UP_S)
    return {**_MEASUREMENTS[run.case.kind](run), "rss_bytes": run.subject.rss_bytes()}


def _requests(run: Run) -> Figures:
    return _full_speed(run, "requests")


def _handshakes(run: Run) -> Figures:
    return _full_speed(run, "handshakes")


def _messages(run: Run) -> Figures:
    return _full_speed(run, "messages", _RELAYED_PER_ECHO)


def _full_speed(run: Run, unit: str, units_per_request: int = 1) -> Figures:
    before_s = run.subject.cpu_seconds()
    load = run.load(run.seconds)
    cpu_s = run.subject.cpu_seconds() - before_s
    return {
        **load.figures(),
        "cpu_s": cpu_s,
        "cpu_share": cpu_s / load.duration_s,
        f"{unit}_per_cpu_second": units_per_request * load.requests / cpu_s,
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
    figures = {**load.figures(), "quiet_failed": quiet.failed}
    if load.p99_us and quiet.p99_us:
        ratio = load.p99_us / quiet.p99_us
        figures |= {"quiet_p99_us": quiet.p99_us, "p99_over_quiet": ratio}
    return figures


def _swap_until(subject: Subject, over: threading.Event) -> None:
    while not over.wait(_SWAP_INTERVAL_S):
        subject.reload()


def _idle(run: Run) -> Figures:
    """Memory of connections that asked once and then stay silent."""
    setup = run.subject.setup
    context = setup.client_context(["h2"] if run.case.http2 else [])
    client = IdleClient(setup.port, run.case.body, context, run.case.http2)
    before_bytes = run.subject.rss_bytes()
    with ExitStack() as stack:
        for _ in range(run.case.connections):
            client.open(stack)
        grown_bytes = run.subject.rss_bytes() - before_bytes
    return {"rss_bytes_per_connection": grown_bytes / run.case.connections, "failed": 0}


_MEASUREMENTS: dict[str, Callable[[Run], Figures]] = {
    "requests": _requests,
    "bytes": _requests,
    "streams": _requests,
    "full_handshakes": _handshakes,
    "resumed_handshakes": _handshakes,
    "messages": _messages,
    "half_load": _half_load,
    "swap": _swap,
    "idle": _idle,
}
