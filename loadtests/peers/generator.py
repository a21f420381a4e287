"""The load generators: wrk for full speed, h2load for a fixed rate.

Both are run to completion as child processes bound to the generator's core. wrk keeps one request
in flight on each connection; its figures come from ``wrk_report.lua``, unrounded. h2load paces each
connection, and its log of single requests gives true percentiles.
"""

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

WRK_REPORT = Path(__file__).with_name("wrk_report.lua")


@dataclass(frozen=True)
class Load:
    """What a generator saw: counts, seconds, microseconds."""

    requests: int
    duration_s: float
    response_bytes: int
    p50_us: float
    p99_us: float
    max_us: float
    errors: dict[str, int]

    @property
    def failed(self) -> int:
        """Requests that were not answered with 2xx or 3xx, whatever the reason."""
        return sum(self.errors.values())

    @property
    def requests_per_second(self) -> float:
        """Throughput."""
        return self.requests / self.duration_s

    def as_json(self) -> dict[str, object]:
        """For the raw result file."""
        return {**asdict(self), "requests_per_second": self.requests_per_second}


def run_wrk(url: str, *, connections: int, seconds: float, cores: set[int], headers: tuple[str, ...] = ()) -> Load:
    """Run wrk with one thread.

    Raises:
        RuntimeError: If wrk failed or hung.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency", "-s", str(WRK_REPORT)]
    for header in headers:
        command += ["-H", header]
    output = _run([*command, url], seconds, cores)
    return _parse_wrk(output)


def _parse_wrk(output: str) -> Load:
    raw = json.loads(output.splitlines()[-1])
    kinds = ("connect_errors", "read_errors", "write_errors", "timeouts", "bad_status")
    return Load(
        requests=raw["requests"],
        duration_s=raw["duration_us"] / 1e6,
        response_bytes=raw["bytes"],
        p50_us=raw["p50_us"],
        p99_us=raw["p99_us"],
        max_us=raw["max_us"],
        errors={kind: raw[kind] for kind in kinds},
    )


def _run(command: list[str], seconds: float, cores: set[int]) -> str:
    pinned = ["taskset", "-c", ",".join(map(str, cores)), *command]
    done = subprocess.run(pinned, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout
