"""Start the demo servers and one trunkline that speaks every protocol, until Ctrl-C.

    python examples/protocols/start.py [--free-ports] [--json] [--directory DIR]

Everything is on loopback. The servers are threads of this process and stop after trunkline has
drained. `--json` prints one line instead of the commands to try, for programs (tests).
"""

import argparse
import json
import os
import random
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from certificates import write_certificates
from rich.console import Console
from servers import DemoServers
from ways import show, ways

STATE = Path("state/protocols")
CONFIG_PATH = Path(__file__).with_name("trunkline.toml")
START_TIMEOUT_S = 30
# Longer than the drain time that trunkline.toml allows.
STOP_TIMEOUT_S = 20
# Short beside the start of a process, long beside the cost of asking.
POLL_INTERVAL_S = 0.05
_LOOPBACK_PORT = re.compile(r"(?<=127\.0\.0\.1:)\d+")
# Below the range that Linux hands to outgoing connections (32768..60999): none can take one first.
_FREE_PORTS = range(20_000, 32_000)

notes = Console(stderr=True, highlight=False)


class StartError(Exception):
    """Something did not start; the message says what."""


@dataclass(frozen=True)
class Run:
    """What one run consists of.

    Attributes:
        directory: For certificates and the log.
        config_path: trunkline.toml, or a copy with other ports.
        ports: Where each of its ports went.
        environment: What it reads.
    """

    directory: Path
    config_path: Path
    ports: Mapping[int, int]
    environment: Mapping[str, str]

    @classmethod
    def make(cls, directory: Path, *, free_ports: bool) -> "Run":
        """Make certificates and a token; a changed configuration is written to `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        write_certificates(directory)
        token, files = secrets.token_urlsafe(18), str(directory.resolve())
        environment = {"PROTOCOLS_TOKEN": token, "PROTOCOLS_FILES": files}
        text = CONFIG_PATH.read_text()
        written = sorted({int(port) for port in _LOOPBACK_PORT.findall(text)})
        if not free_ports:
            return cls(
                directory, CONFIG_PATH, dict(zip(written, written, strict=True)), environment
            )
        ports = dict(zip(written, _find_free_ports(len(written)), strict=True))
        copy = directory / CONFIG_PATH.name
        copy.write_text(_LOOPBACK_PORT.sub(lambda found: str(ports[int(found[0])]), text))
        return cls(directory, copy, ports, environment)

    @property
    def log_path(self) -> Path:
        """What trunkline says."""
        return self.directory / "trunkline.log"

    def start_trunkline(self) -> subprocess.Popen[bytes]:
        """In a process group of its own: Ctrl-C is for us, who stop it in order."""
        command = [sys.executable, "-P", "-m", "trunkline", "up", "--config", str(self.config_path)]
        with self.log_path.open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                process_group=0,
            )

    def announce(self, trunkline_pid: int, *, as_json: bool) -> None:
        """Say what to try."""
        all_ways = ways(self.ports, self.directory, self.config_path)
        if as_json:
            record = {"pid": trunkline_pid, "ways": [asdict(way) for way in all_ways]}
            print(json.dumps(record), flush=True)
        else:
            show(all_ways)


def main() -> int:
    """Run until SIGINT, SIGTERM or the end of trunkline; the exit status."""
    options = parse_arguments()
    asked_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked_to_stop.set())
    run = Run.make(options.directory, free_ports=options.free_ports)
    try:
        refuse_taken_ports(run)
        with DemoServers(*(run.ports[port] for port in (9181, 9182, 9183, 9184))):
            return serve(run, asked_to_stop, as_json=options.json)
    except StartError as error:
        notes.print(str(error), style="red", markup=False)
        return 1


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description="trunkline speaks every protocol")
    parser.add_argument("--free-ports", action="store_true", help="not those of trunkline.toml")
    parser.add_argument("--json", action="store_true", help="print one line of JSON when ready")
    parser.add_argument("--directory", type=Path, default=STATE, help="for certificates and log")
    return parser.parse_args()


def serve(run: Run, asked_to_stop: threading.Event, *, as_json: bool) -> int:
    """One trunkline from its start to its end; 0 if it was asked to stop and drained."""
    trunkline = run.start_trunkline()
    try:
        wait_until_ready(run, trunkline)
        run.announce(trunkline.pid, as_json=as_json)
        while not asked_to_stop.wait(POLL_INTERVAL_S) and trunkline.poll() is None:
            pass
    finally:
        status = stop(trunkline)
    notes.print(f"trunkline: exit status {status}")
    return 0 if asked_to_stop.is_set() and status == 0 else 1


def stop(trunkline: subprocess.Popen[bytes]) -> int:
    """SIGTERM, wait, and SIGKILL after `STOP_TIMEOUT_S`; the exit status."""
    if trunkline.poll() is None:
        notes.print("draining trunkline …")
        trunkline.terminate()
    try:
        return trunkline.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        trunkline.kill()
        return trunkline.wait()


def wait_until_ready(run: Run, trunkline: subprocess.Popen[bytes]) -> None:
    """Return when a page gets through.

    Raises:
        StartError: trunkline ended first, or the time was up.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while not answers(f"http://127.0.0.1:{run.ports[9280]}/"):
        if trunkline.poll() is not None or time.monotonic() > deadline:
            raise StartError(f"trunkline did not start:\n{run.log_path.read_text()}")
        time.sleep(POLL_INTERVAL_S)


def answers(url: str) -> bool:
    """Whether a GET of the URL succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def refuse_taken_ports(run: Run) -> None:
    """Name all ports that somebody listens on already.

    Raises:
        StartError: If there are any.
    """
    if taken := [port for port in run.ports.values() if not _is_free(port)]:
        raise StartError(f"ports in use: {', '.join(map(str, taken))}. Is it running already?")


def _find_free_ports(count: int) -> list[int]:
    candidates = random.sample(_FREE_PORTS, 100 * count)
    free = (port for port in candidates if _is_free(port))
    return [next(free) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Connections of an earlier run in TIME_WAIT are no reason against a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


if __name__ == "__main__":
    sys.exit(main())
