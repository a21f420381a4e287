"""Requests per CPU-second of a proxy that already runs, in a few seconds.

``python loadtests/peers/quick.py --port 9200 --pid PID [--backend-port 9100]``: for the author
of an engine. Binds the proxy to core 0, and wrk (and the backend, if asked to start one) to
core 1. One round, no peers, no verdict: the side-by-side run is ``run.py``.
"""

import argparse
import contextlib
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from loadtests.peers.backend import Backend
from loadtests.peers.generator import Target, run_wrk
from testkit import procfs

PROXY_CORES, OTHER_CORES = {0}, {1}


def main() -> None:
    """Parse the command line, measure, print one line per number of connections."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, required=True, help="where the proxy listens")
    parser.add_argument("--pid", type=int, required=True, help="the proxy's process id")
    parser.add_argument("--backend-port", type=int, help="start the nginx backend on this port")
    parser.add_argument("--path", default="/64", help="/64, /4k or /1m of that backend")
    parser.add_argument("--connections", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--header", action="append", default=[], help="'Name: value', repeatable")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        if options.backend_port:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
            stack.enter_context(_backend(options.backend_port).running(directory, OTHER_CORES))
        for connections in options.connections:
            print(_measure(options, connections), flush=True)


def _backend(port: int) -> Backend:
    return replace(Backend.on_free_ports(), port=port)


def _measure(options: argparse.Namespace, connections: int) -> str:
    pids = procfs.family(options.pid)
    for pid in pids:
        procfs.pin(pid, PROXY_CORES)
    headers = dict(header.split(": ", 1) for header in options.header)
    url = f"http://127.0.0.1:{options.port}{options.path}"
    target = Target(url, connections, OTHER_CORES, headers)
    run_wrk(target, seconds=1)
    cpu_before_s = sum(map(procfs.cpu_seconds, pids))
    load = run_wrk(target, options.seconds)
    cpu_s = sum(map(procfs.cpu_seconds, pids)) - cpu_before_s
    return (
        f"{connections:5} connections: {load.requests / cpu_s / 1000:7.1f} k requests/CPU-s  "
        f"({load.requests_per_second / 1000:.1f} k/s, CPU {cpu_s / load.duration_s:.0%}, "
        f"p50 {load.p50_us:.0f} µs, p99 {load.p99_us:.0f} µs, failed {load.failed}, "
        f"RSS {sum(map(procfs.rss_bytes, pids)) / 2**20:.1f} MiB)"
    )


if __name__ == "__main__":
    main()
