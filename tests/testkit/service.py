"""A trunkline across its upgrades: whichever process serves at the moment.

It is found as its users find it, by the state file. The processes that took over are not children
of the test, so each one that was seen is ended by its id.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from testkit.procfs import is_running
from testkit.trunkline import Trunkline
from testkit.waiting import wait_until

# A Python that imports everything, on a machine that does other things as well.
_END_TIMEOUT_S = 20


class Service(Trunkline):
    """Arguments as for ``Trunkline``."""

    @property
    def serving_pid(self) -> int:
        """Process id of the one that serves."""
        pid: int = self.state()["pid"]
        return pid

    def state(self) -> dict[str, Any]:
        """What the state file says."""
        (path,) = (self.directory / "state").glob("*.json")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def upgrade(self, timeout_s: float = 60) -> int:
        """By the admin API; the process id of the new one.

        Raises:
            AssertionError: If it was refused.
        """
        status, answer = self.admin("POST", "/upgrade", {"timeout_s": timeout_s})
        assert status == 200, answer
        pid: int = answer["pid"]
        return pid

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A command of trunkline's that finds this service."""
        return subprocess.run(
            [sys.executable, "-m", "trunkline", *arguments],
            env={**os.environ, "TRUNKLINE_STATE_DIR": str(self.directory / "state")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def log(self) -> list[dict[str, Any]]:
        """The messages of all its processes; what is no JSON is left out."""
        lines = self.process.output().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def wait_for_message(self, text: str) -> dict[str, Any]:
        """The first message with this text in it.

        Raises:
            TimeoutError: If it does not come.
        """

        def found() -> list[dict[str, Any]]:
            return [entry for entry in self.log() if text in entry["message"]]

        wait_until(found, timeout_s=_END_TIMEOUT_S, what=f"the message {text!r}")
        return found()[0]

    def stop(self) -> int:
        """SIGTERM to all of its processes; the exit code of the first one."""
        for pid in self._processes():
            os.kill(pid, signal.SIGTERM)
        for pid in self._processes():
            wait_until_ended(pid)
        return super().stop()

    def _processes(self) -> list[int]:
        """Those that run with this service's configuration file, without the first."""
        mark = os.fsencode(self.config_path)
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                is_ours = mark in (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            pid = int(entry.name)
            if is_ours and pid != self.pid and is_running(pid):
                found.append(pid)
        return found


def wait_until_ended(pid: int) -> None:
    """Wait for the end of a process that is not the caller's child.

    Raises:
        TimeoutError: If it does not end.
    """
    wait_until(
        lambda: not is_running(pid), timeout_s=_END_TIMEOUT_S, what=f"the end of process {pid}"
    )
