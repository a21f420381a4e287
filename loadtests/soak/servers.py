"""The servers of the soak as processes: started, killed, started again."""

import os
import signal
import sys
from pathlib import Path

from loadtests.soak.site import Server
from testkit.ports import is_listening
from testkit.process import Process

_ROOT = Path(__file__).resolve().parents[2]


class RunningServer:
    """One of them; stopped by ``stop`` or the end of a ``with`` block."""

    def __init__(self, directory: Path, server: Server) -> None:
        self._directory = directory
        self._server = server
        self._process = self._start()

    def start(self) -> None:
        """Again, after ``kill``; returns when it listens on both ports.

        Raises:
            RuntimeError: If it does not.
        """
        self._process = self._start()

    def kill(self) -> None:
        """As a machine dies: no goodbye."""
        self._process.send(signal.SIGKILL)
        self._process.wait(timeout_s=10)

    def stop(self) -> None:
        """In good order."""
        self._process.stop()

    def _start(self) -> Process:
        ports = [self._server.port, self._server.grpc_port]
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
        return Process(
            [sys.executable, "-m", "loadtests.soak.upstream", *map(str, ports)],
            directory=self._directory,
            name=f"server-{self._server.port}",
            environment={"PYTHONPATH": path},
        ).wait_ready(lambda: all(map(is_listening, ports)))
