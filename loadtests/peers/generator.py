"""The load generators: wrk for full speed, h2load for a fixed rate and for HTTP/2.

Both run to completion as child processes bound to the generator's cores. wrk keeps one request in
flight on each connection; ``wrk_report.lua`` gives its figures unrounded. h2load paces each
connection on its own clock, and its log of single requests gives true percentiles; at full speed
that log would slow it, so there it gives no times.
"""

import json
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

_WRK_REPORT = Path(__file__).with_name("wrk_report.lua")
_WRK_ROUTES = Path(__file__).with_name("wrk_routes.lua")
_WRK_PACED = Path(__file__).with_name("wrk_paced.lua")
_WRK_ERRORS = ("connect_errors", "read_errors", "write_errors", "timeouts", "bad_status")
# The last lines of h2load: "requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, …".
_H2LOAD_REQUESTS = re.compile(r"^requests: .* (\d+) succeeded, (\d+) failed", re.MULTILINE)
_H2LOAD_TRAFFIC = re.compile(r"^traffic: \S+ \((\d+)\) total", re.MULTILINE)
# How long a generator may take beyond its measuring time before it counts as hung.
_GRACE_S = 30
# Connections are opened this far apart, so that their clocks do not tick in one burst: with all
# opened at once 64 requests leave in the same 100 µs and their own queue is what is measured.
_START_INTERVAL_MS = 1


@dataclass(frozen=True)
class Load:
    """What a generator saw: counts, seconds, bytes on the wire, microseconds (None: not timed)."""

    requests: int
    duration_s: float
    response_bytes: int
    p50_us: float | None
    p99_us: float | None
    max_us: float | None
    errors: dict[str, int]

    @property
    def failed(self) -> int:
        """Requests without a good answer, whatever the reason."""
        return sum(self.errors.values())

    @property
    def requests_per_second(self) -> float:
        """Throughput."""
        return self.requests / self.duration_s

    def figures(self) -> dict[str, float]:
        """Everything as one flat table for the raw results."""
        figures = {**asdict(self), **self.errors, "failed": self.failed}
        del figures["errors"]
        figures["requests_per_second"] = self.requests_per_second
        return {name: value for name, value in figures.items() if value is not None}


@dataclass(frozen=True)
class Target:
    """Where the requests go.

    Attributes:
        url: Full URL; with ``route_count`` only its authority counts.
        connections: Client connections.
        cores: Where the generator runs.
        headers: Sent with each request.
        route_count: Walk over ``/r/0`` to ``/r/N-1`` instead of asking the one path.
        upload: File sent as the body of each HTTP/2 request, by POST.
    """

    url: str
    connections: int
    cores: set[int]
    headers: dict[str, str]
    route_count: int = 0
    upload: Path | None = None


def run_wrk(target: Target, seconds: float) -> Load:
    """Full speed for whole seconds.

    Raises:
        RuntimeError: If wrk failed.
        subprocess.TimeoutExpired: If it hung.
    """
    if target.route_count:
        return _wrk(_WRK_ROUTES, target, seconds, str(target.route_count))
    return _wrk(_WRK_REPORT, target, seconds)


def run_wrk_paced(target: Target, seconds: float, pause_ms: float) -> Load:
    """Walk over the routes, each connection pausing ``pause_ms`` on average between requests.

    Raises:
        RuntimeError: If wrk failed.
        subprocess.TimeoutExpired: If it hung.
    """
    return _wrk(_WRK_PACED, target, seconds, str(target.route_count), str(pause_ms))


def _wrk(script: Path, target: Target, seconds: float, *arguments: str) -> Load:
    command = ["wrk", "-t1", f"-c{target.connections}", f"-d{seconds:.0f}s", "--latency"]
    command += ["-s", str(script), *header_options(target), target.url]
    command += ["--", *arguments] if arguments else []
    raw = json.loads(run_pinned(command, seconds, target.cores).splitlines()[-1])
    return Load(
        requests=raw["requests"],
        duration_s=raw["duration_us"] / 1e6,
        response_bytes=raw["bytes"],
        p50_us=raw["p50_us"],
        p99_us=raw["p99_us"],
        max_us=raw["max_us"],
        errors={kind: raw[kind] for kind in _WRK_ERRORS},
    )


def run_h2load(target: Target, seconds: float, requests_per_second: float, log: Path) -> Load:
    """HTTP/1.1 at a fixed rate over all connections, each with its own clock.

    A connection whose answer is late sends its next request late: a stall is counted once per
    connection, not once per request that should have been sent meanwhile.

    Args:
        target: Where to.
        seconds: How long.
        requests_per_second: Over all connections.
        log: File for the log of single requests; overwritten.

    Raises:
        RuntimeError: If h2load failed.
        subprocess.TimeoutExpired: If it hung.
    """
    rate_each = max(1, round(requests_per_second / target.connections))
    total = round(rate_each * seconds) * target.connections
    log.unlink(missing_ok=True)
    command = ["h2load", "--h1", "-t1", f"-c{target.connections}", f"-n{total}"]
    command += [f"--rps={rate_each}", "--rate=1", f"--rate-period={_START_INTERVAL_MS}ms"]
    command += [f"--log-file={log}", *header_options(target), target.url]
    run_pinned(command, seconds, target.cores)
    return _read_h2load_log(log, total)


def run_h2load_streams(target: Target, seconds: float, streams: int) -> Load:
    """HTTP/2 at full speed, ``streams`` requests in flight on each connection.

    Raises:
        RuntimeError: If h2load failed, or spoke another protocol.
        subprocess.TimeoutExpired: If it hung.
    """
    command = ["h2load", "-t1", f"-c{target.connections}", f"-m{streams}", f"-D{seconds:.0f}"]
    command += [f"--data={target.upload}"] if target.upload else []
    said = run_pinned([*command, *header_options(target), target.url], seconds, target.cores)
    requests, traffic = _H2LOAD_REQUESTS.search(said), _H2LOAD_TRAFFIC.search(said)
    if requests is None or traffic is None or "Application protocol: h2" not in said:
        raise RuntimeError(f"h2load did not get HTTP/2 through: {said}")
    return Load(
        requests=int(requests[1]),
        duration_s=round(seconds),
        response_bytes=int(traffic[1]),
        p50_us=None,
        p99_us=None,
        max_us=None,
        errors={"bad_status": int(requests[2])},
    )


def _read_h2load_log(log: Path, total: int) -> Load:
    """Columns: start (µs since the epoch), status (-1 if it failed), microseconds it took."""
    rows = [tuple(map(int, line.split("\t"))) for line in log.read_text().splitlines()]
    times_us = sorted(row[2] for row in rows)
    ends_us = [row[0] + row[2] for row in rows]
    bad_status = sum(row[1] != 200 for row in rows)
    return Load(
        requests=len(rows),
        duration_s=(max(ends_us) - min(row[0] for row in rows)) / 1e6,
        response_bytes=0,
        p50_us=times_us[len(times_us) // 2],
        p99_us=times_us[len(times_us) * 99 // 100],
        max_us=times_us[-1],
        errors={"bad_status": bad_status, "unanswered": total - len(rows)},
    )


def header_options(target: Target) -> list[str]:
    """As wrk, h2load and nghttp take them."""
    options: list[str] = []
    for name, value in target.headers.items():
        options += ["-H", f"{name}: {value}"]
    return options


def run_pinned(command: list[str], seconds: float, cores: set[int]) -> str:
    """Run a generator for ``seconds`` on these cores; what it printed.

    Raises:
        RuntimeError: If it failed.
        subprocess.TimeoutExpired: If it hung.
    """
    pinned = ["taskset", "-c", ",".join(map(str, sorted(cores))), *command]
    done = subprocess.run(
        pinned, capture_output=True, text=True, timeout=seconds + _GRACE_S, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout
