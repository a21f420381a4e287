"""Child processes that outlive a Ctrl-C until they are asked to stop.

Each child leads a process group of its own: the terminal sends Ctrl-C to the whole foreground
group, and a demo service that dies of it would fail the requests that trunkline is still draining.
"""

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

# Longer than the drain time that trunkline.toml allows, so that it is never cut short.
STOP_TIMEOUT_S = 20
CLEAN_END = "exit status 0"


class Child:
    """One running program; its output goes to `log_path`."""

    def __init__(self, name: str, log_path: Path, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.log_path = log_path
        self._process = process

    @classmethod
    async def start(
        cls, name: str, command: Sequence[str], *, logs: Path, environment: Mapping[str, str]
    ) -> "Child":
        """Start `command` with `environment` added to ours.

        Raises:
            OSError: The program cannot be started.
        """
        log_path = logs / f"{name}.log"
        with log_path.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, **environment},
                process_group=0,
            )
        return cls(name, log_path, process)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    async def ended(self) -> str:
        """Wait for the end and say how it went: `exit status 1`, `signal SIGKILL`."""
        status = await self._process.wait()
        return f"exit status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"

    async def stop(self) -> str:
        """Send SIGTERM, wait, and say how it went; SIGKILL after `STOP_TIMEOUT_S`."""
        if self.running:
            self._process.terminate()
        try:
            return await asyncio.wait_for(self.ended(), STOP_TIMEOUT_S)
        except TimeoutError:
            self._process.kill()
            return await self.ended()

    def last_words(self, lines: int = 20) -> str:
        """The end of its output, for the message that says it died."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
