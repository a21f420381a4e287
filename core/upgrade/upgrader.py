"""The old process's side: starts the new one, hands it the sockets, and steps back if it is ready.

Whatever goes wrong before that leaves the old process as it was: it has not stopped accepting.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from trunkline.core.config.problems import Problem
from trunkline.core.instance import Instance
from trunkline.core.systemd.notify import Notifier
from trunkline.core.upgrade.handover import Channel, Handover

log = logging.getLogger("trunkline")

# Loading 10 000 routes takes two seconds, finding servers in DNS as long as DNS takes.
DEFAULT_TIMEOUT_S = 60.0
_HINT = "; its last words are in the log, on standard error"
# What a dismissed process may take beyond the grace period.
_LAST_WORDS_S = 5.0


class UpgradeError(Exception):
    """The new process did not take over; the old one serves on.

    Attributes:
        problems: What it found wrong with the configuration.
        was_tried: Whether a process was started at all.
    """

    def __init__(
        self, message: str, problems: Sequence[Problem] = (), *, was_tried: bool = True
    ) -> None:
        super().__init__(message)
        self.problems = list(problems)
        self.was_tried = was_tried


@dataclass(frozen=True)
class Estate:
    """What is handed over beside the sockets of the data plane.

    Attributes:
        admin: Listening socket of the admin API.
        token: Its token.
        reclaim: Puts right what a new process that failed may have left of its own.
    """

    admin: socket.socket | None
    token: str | None
    reclaim: Callable[[], None]


class Upgrader:
    """Puts a new process in the place of this one.

    Args:
        instance: What runs.
        notifier: Hears which process is the service.
        command: What starts the new process.
        replaced: Called when another process serves.

    Attributes:
        estate: Known as soon as this process is the service.
        successor: Process id of the one that has taken over.
    """

    def __init__(
        self,
        instance: Instance,
        notifier: Notifier,
        command: Sequence[str],
        replaced: Callable[[], None],
    ) -> None:
        self.estate: Estate | None = None
        self.successor: int | None = None
        self._instance = instance
        self._notifier = notifier
        self._command = list(command)
        self._replaced = replaced
        self._task: asyncio.Task[int] | None = None
        self._burials: set[asyncio.Task[None]] = set()

    async def upgrade(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> int:
        """Start the new process and give it the service; its process id.

        Raises:
            UpgradeError: The old process serves on, and why.
        """
        estate = self._possible()
        task = self._task = asyncio.create_task(self._try(estate, timeout_s))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            raise _about_to_end() from None
        except UpgradeError as error:
            for problem in error.problems:
                log.error("the new process refused: %s", problem)
            log.error("not upgraded, this process serves on: %s", error)
            raise

    async def abandon(self) -> None:
        """End an upgrade that is under way, because the service is to end."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        if self.successor is not None:
            # It was ready just before: what was meant for this process is for that one now.
            os.kill(self.successor, signal.SIGTERM)

    def _possible(self) -> Estate:
        reason = "this process is still starting"
        if self.successor is not None:
            reason = f"process {self.successor} has taken over already"
        elif self._task is not None and not self._task.done():
            reason = "an upgrade is under way"
        elif self._instance.is_ending:
            reason = "this process is about to end"
        elif os.getpid() == 1:
            reason = "this is process 1: with its end the container would end"
        elif self.estate is not None:
            return self.estate
        raise UpgradeError(reason, was_tried=False)

    async def _try(self, estate: Estate, timeout_s: float) -> int:
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        in_time = f"in {timeout_s:g} s"
        async with self._no_changes(deadline_s, in_time):
            log.info("upgrading", extra={"command": self._command})
            ours, theirs = socket.socketpair()
            with theirs:
                child = self._start(estate, theirs)
            with contextlib.closing(Channel(ours)) as channel:
                try:
                    async with _until(deadline_s, f"process {child.pid} was not ready {in_time}"):
                        await self._await_ready(child, channel, estate)
                except UpgradeError:
                    await channel.send({"serve": False})
                    self._dismiss(child, estate)
                    raise
                self._hand_over(child.pid)
                await channel.send({"serve": True})
            return child.pid

    @contextlib.asynccontextmanager
    async def _no_changes(self, deadline_s: float, in_time: str) -> AsyncIterator[None]:
        """No reload meanwhile: it might open sockets that the new process does not hear of."""
        lock = self._instance.changing
        async with _until(deadline_s, f"a reload that is under way has not ended {in_time}"):
            await lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _start(self, estate: Estate, theirs: socket.socket) -> "subprocess.Popen[bytes]":
        handover = Handover(
            channel=theirs.fileno(),
            listeners=self._instance.descriptors(),
            admin=None if estate.admin is None else estate.admin.fileno(),
            predecessor=os.getpid(),
        )
        # The watchdog of this process is not the new one's.
        environment = {name: os.environ[name] for name in os.environ if name != "WATCHDOG_PID"}
        try:
            return subprocess.Popen(
                self._command,
                env=environment | handover.to_environment(),
                pass_fds=handover.descriptors,
            )
        except OSError as error:
            reason = f"cannot start {self._command[0]}: {error.strerror}"
            raise UpgradeError(reason) from error

    async def _await_ready(
        self, child: "subprocess.Popen[bytes]", channel: Channel, estate: Estate
    ) -> None:
        await channel.send({"token": estate.token, "servers": self._instance.known()})
        answer = await channel.receive()
        if answer is None:
            raise UpgradeError(f"process {child.pid} ended before it was ready{_HINT}")
        if "ready" not in answer:
            raise UpgradeError(answer["error"], [Problem(**one) for one in answer["problems"]])

    def _hand_over(self, pid: int) -> None:
        self.successor = pid
        self._notifier.hand_over(pid)
        log.info("process %d has taken over", pid)
        self._replaced()

    def _dismiss(self, child: "subprocess.Popen[bytes]", estate: Estate) -> None:
        """End it; what it may have accepted it serves before it goes."""
        child.terminate()
        estate.reclaim()
        task = asyncio.create_task(self._bury(child, estate))
        self._burials.add(task)
        task.add_done_callback(self._burials.discard)

    async def _bury(self, child: "subprocess.Popen[bytes]", estate: Estate) -> None:
        patience_s = self._instance.grace_s + _LAST_WORDS_S
        try:
            await asyncio.to_thread(child.wait, patience_s)
        except (subprocess.TimeoutExpired, asyncio.CancelledError):
            child.kill()
            child.wait()
        # It may have left its mark between our putting it right and its end.
        estate.reclaim()


@contextlib.asynccontextmanager
async def _until(deadline_s: float, failure: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout_at(deadline_s):
            yield
    except TimeoutError as error:
        raise UpgradeError(failure) from error
    except asyncio.CancelledError:
        raise _about_to_end() from None


def _about_to_end() -> UpgradeError:
    return UpgradeError("this process is about to end")
