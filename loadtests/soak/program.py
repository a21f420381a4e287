"""The trunkline under soak, across its upgrades: which process serves now, and what it is asked.

The process is found as its users find it, by the state file of its configuration.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loadtests.peers.subjects.base import first_output_line
from testkit.process import Process
from testkit.waiting import wait_until

_TRUNKLINE = [sys.executable, "-m", "trunkline"]
_UPGRADE_TIMEOUT_S = 60
_CRASH_SIGNS = ("panicked at", "Traceback (most recent call last)")


class Program:
    """A running trunkline.

    Args:
        directory: Its own, for configuration, output and state.
        config: TOML.
    """

    def __init__(self, directory: Path, config: str) -> None:
        self._config_path = directory / "trunkline.toml"
        self._state = directory / "state"
        self._environment = {"TRUNKLINE_STATE_DIR": str(self._state)}
        self.write_config(config)
        self._process = Process(
            [*_TRUNKLINE, "up", "--config", str(self._config_path)],
            directory=directory,
            name="trunkline",
            environment=self._environment,
        ).wait_ready((directory / "ready").exists)

    @property
    def pid(self) -> int:
        """Of the process that serves now."""
        pid: int = self._running()["pid"]
        return pid

    def write_config(self, config: str) -> None:
        """Replace the file; it is taken up by ``reload``."""
        self._config_path.write_text(config)

    def reload(self) -> int:
        """Read the file again; status of the admin API's answer."""
        return self._call("POST", "/reload")[0]

    def all_servers_healthy(self) -> bool:
        """Whether every server of every pool is."""
        try:
            pools = self._call("GET", "/pools")[1]
        except OSError:  # The process that was asked has made room for another one.
            return False
        return all(server["healthy"] for pool in pools for server in pool["servers"])

    @staticmethod
    def can_upgrade() -> bool:
        """Whether this build knows the command."""
        command = [*_TRUNKLINE, "upgrade", "--help"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    @staticmethod
    def version() -> str:
        """One line for the summary."""
        return first_output_line([*_TRUNKLINE, "version"])

    def upgrade(self) -> None:
        """Put a new process in the place of this one; return when the old one has ended.

        Raises:
            RuntimeError: If the command failed.
            TimeoutError: If no other process serves, or the old one does not end.
        """
        old_pid = self.pid
        done = subprocess.run(
            [*_TRUNKLINE, "upgrade", "--config", str(self._config_path)],
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            timeout=_UPGRADE_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"trunkline upgrade: {done.stdout}{done.stderr}")
        self._wait(lambda: self.pid != old_pid, "another process to serve")
        self._wait(lambda: not _runs(old_pid), "the old process to end")

    def stop(self) -> None:
        """SIGTERM to whichever process serves, and wait for its end.

        Raises:
            TimeoutError: If it does not end.
        """
        pid = self.pid
        os.kill(pid, signal.SIGTERM)
        self._wait(lambda: not _runs(pid), "trunkline to end")
        self._process.stop()

    def crashes(self) -> list[str]:
        """Lines of its output that tell of a panic or an exception that nobody expected."""
        lines = self._process.output().splitlines()
        return [line for line in lines if any(sign in line for sign in _CRASH_SIGNS)]

    def _wait(self, check: Callable[[], bool], what: str) -> None:
        wait_until(check, timeout_s=_UPGRADE_TIMEOUT_S, what=what)

    def _running(self) -> dict[str, Any]:
        """The state file; for a moment of an upgrade there is none."""
        wait_until(lambda: list(self._state.glob("*.json")), timeout_s=5, what="a state file")
        (path,) = self._state.glob("*.json")
        running: dict[str, Any] = json.loads(path.read_text())
        return running

    def _call(self, method: str, path: str) -> tuple[int, Any]:
        running = self._running()
        headers = {"Authorization": f"Bearer {running['token']}"}
        request = urllib.request.Request(running["url"] + path, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def _runs(pid: int) -> bool:
    """Whether the process lives; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except FileNotFoundError:
        return False
