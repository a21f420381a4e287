"""Start the quick start: three demo services and one trunkline in front of them, until Ctrl-C.

    python examples/quickstart/run.py [--free-ports] [--json] [--directory DIR]

Everything is a real process on loopback. The demo services stop after trunkline has drained, and
none is started again when it dies: killing one is part of the tour. `--json` prints one line of
addresses, keys and commands instead of the panel, for programs that drive it (loadtests/locust,
tests).
"""

import argparse
import asyncio
import json
import signal
import sys
import time
import urllib.request
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path

from plan import SERVICE_PORTS, Plan
from processes import CLEAN_END, Child
from rich.console import Console
from tour import show_tour, steps

STATE = Path("state/quickstart")
SERVICE = Path(__file__).with_name("service.py")
START_TIMEOUT_S = 30
# Short beside the start of a process, long beside the cost of asking.
POLL_INTERVAL_S = 0.05

notes = Console(stderr=True, highlight=False)


async def main() -> int:
    """Run until SIGINT, SIGTERM or the end of trunkline; the exit status."""
    options = parse_arguments()
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)
    options.directory.mkdir(parents=True, exist_ok=True)
    plan = Plan.make(options.directory, free_ports=options.free_ports)
    return await QuickStart(plan, options.directory).run(asked_to_stop, as_json=options.json)


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description="trunkline's quick start")
    parser.add_argument("--free-ports", action="store_true", help="not those of trunkline.toml")
    parser.add_argument("--json", action="store_true", help="print one line of JSON when ready")
    parser.add_argument("--directory", type=Path, default=STATE, help="for logs")
    return parser.parse_args()


class StartError(Exception):
    """Something did not start; the message says what, and ends with its last words."""


class QuickStart:
    """The processes of one run."""

    def __init__(self, plan: Plan, logs: Path) -> None:
        self.plan = plan
        self.logs = logs
        self.services: dict[str, Child] = {}
        self.trunkline: Child | None = None

    async def run(self, asked_to_stop: asyncio.Event, *, as_json: bool) -> int:
        """Start everything, say so, wait, stop everything in order; the exit status."""
        try:
            trunkline = await self.start()
            self.announce(trunkline, as_json=as_json)
            ran = await self.watch(trunkline, asked_to_stop)
        except StartError as error:
            notes.print(str(error), style="red", markup=False)
            ran = False
        finally:
            stopped = await self.stop()
        return 0 if ran and stopped else 1

    async def start(self) -> Child:
        """Start the services, then trunkline; return it when a request gets through all of it.

        Raises:
            StartError: A port is taken, one of them ended, or was not ready in `START_TIMEOUT_S`.
        """
        if taken := self.plan.taken_ports():
            ports = ", ".join(map(str, taken))
            raise StartError(f"ports in use: {ports}. Is another quick start running?")
        for port in SERVICE_PORTS:
            address = self.plan.address(port)
            command = [sys.executable, str(SERVICE), address]
            self.services[address] = await self.child(f"shop-{port}", command)
        for address, service in self.services.items():
            await wait_until_ready(service, f"http://{address}/healthz")
        command = [sys.executable, "-P", "-m", "trunkline", "up", "--config"]
        self.trunkline = await self.child("trunkline", [*command, str(self.plan.config_path)])
        await wait_until_ready(self.trunkline, f"{self.plan.front_url}/shop/products")
        return self.trunkline

    async def child(self, name: str, command: list[str]) -> Child:
        """Start one process with the secrets of this run in its environment."""
        environment = self.plan.environment
        return await Child.start(name, command, logs=self.logs, environment=environment)

    def announce(self, trunkline: Child, *, as_json: bool) -> None:
        """Say what runs where, and what to try."""
        service_pids = {address: service.pid for address, service in self.services.items()}
        if as_json:
            print(json.dumps(as_record(self.plan, service_pids, trunkline.pid)), flush=True)
        else:
            show_tour(self.plan, service_pids, self.logs)

    async def watch(self, trunkline: Child, asked_to_stop: asyncio.Event) -> bool:
        """Wait until asked to stop (true) or trunkline ends (false); note services that end."""
        async with asyncio.TaskGroup() as tasks:
            watchers = [tasks.create_task(note_end(child)) for child in self.services.values()]
            stop = tasks.create_task(asked_to_stop.wait())
            ended = tasks.create_task(note_end(trunkline))
            await asyncio.wait([stop, ended], return_when=asyncio.FIRST_COMPLETED)
            for task in (*watchers, stop, ended):
                task.cancel()
        return asked_to_stop.is_set()

    async def stop(self) -> bool:
        """Drain and stop trunkline, then the services it was draining to; whether it drained."""
        end = ""
        if self.trunkline is not None and self.trunkline.running:
            notes.print("draining trunkline …")
            end = await self.trunkline.stop()
            notes.print(f"trunkline: {end}")
        await asyncio.gather(*(service.stop() for service in self.services.values()))
        return end == CLEAN_END


async def note_end(child: Child) -> None:
    """Wait for the end of a child and print how it went."""
    notes.print(f"{child.name}: {await child.ended()}")


async def wait_until_ready(child: Child, url: str) -> None:
    """Return when `url` answers 200.

    Raises:
        StartError: The child ended first, or the time was up.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while not await asyncio.to_thread(answers, url):
        if not child.running:
            raise StartError(f"{child.name}: {await child.ended()}\n{child.last_words()}")
        if time.monotonic() > deadline:
            raise StartError(f"{child.name}: no answer from {url}\n{child.last_words()}")
        await asyncio.sleep(POLL_INTERVAL_S)


def answers(url: str) -> bool:
    """Whether a GET of the URL succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == HTTPStatus.OK)
    except OSError:
        return False


def as_record(plan: Plan, service_pids: dict[str, int], trunkline_pid: int) -> dict[str, object]:
    """What a program needs to use this run."""
    return {
        "front_url": plan.front_url,
        "admin_url": plan.admin_url,
        "admin_token": plan.admin_token,
        "api_key": plan.api_key,
        "bearer_token": plan.bearer_token(),
        "config_path": str(plan.config_path),
        "trunkline_pid": trunkline_pid,
        "service_pids": service_pids,
        "steps": [asdict(step) for step in steps(plan)],
    }


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
