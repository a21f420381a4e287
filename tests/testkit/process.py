"""Start a program, wait until it is ready, stop it within a bound, keep what it said.

The output goes to a file, so a chatty program can never block on a full pipe. Only the process
started here is signalled, by its id; its children are its own business.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from testkit.waiting import wait_until


class Process:
    """A running program with its output in ``DIRECTORY/NAME.out``.

    Args:
        command: Program and arguments.
        directory: Working directory; must exist.
        name: Names the output file and the errors.
        environment: Added to the environment of this process.
        cores: CPU cores to bind it to; all when None.
        pass_fds: Descriptors that it inherits, under the same numbers.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        directory: Path,
        name: str,
        environment: Mapping[str, str] | None = None,
        cores: set[int] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.output_path = directory / f"{name}.out"
        with self.output_path.open("ab") as output:
            self._popen = subprocess.Popen(
                [*_taskset(cores), *command],
                cwd=directory,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._popen.pid

    def output(self) -> str:
        """Everything written to stdout and stderr so far."""
        return self.output_path.read_text(errors="replace")

    def exit_code(self) -> int | None:
        """The exit code (negative signal number if killed), None while running."""
        return self._popen.poll()

    def wait_ready(self, check: Callable[[], object], timeout_s: float = 20) -> Self:
        """Wait until ``check()`` is true.

        Raises:
            RuntimeError: If the program ended or was not ready in time; carries its output.
        """
        try:
            wait_until(
                lambda: self.exit_code() is not None or check(),
                timeout_s=timeout_s,
                what=f"{self.name} to be ready",
            )
        except TimeoutError as error:
            self.stop()
            raise RuntimeError(f"{error}; it said:\n{self.output()}") from error
        if self.exit_code() is not None:
            raise RuntimeError(f"{self.name} ended with {self.exit_code()}:\n{self.output()}")
        return self

    def wait(self, timeout_s: float) -> int:
        """Wait for the end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: If it still runs.
        """
        return self._popen.wait(timeout_s)

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal; nothing happens if it already ended."""
        self._popen.send_signal(signal_number)

    def stop(self, timeout_s: float = 10) -> int:
        """SIGTERM, then SIGKILL after the timeout; returns the exit code. Safe to repeat."""
        self.send(signal.SIGTERM)
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            return self._popen.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _taskset(cores: set[int] | None) -> list[str]:
    return [] if cores is None else ["taskset", "-c", ",".join(map(str, sorted(cores)))]
