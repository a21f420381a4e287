"""One run: users, disturbances and samples side by side until the time is over."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from loadtests.soak.disturbances import Disturber
from loadtests.soak.flatness import Sample
from loadtests.soak.traffic import EXCHANGE_TIMEOUT_S, Front, Kind, pause
from testkit import procfs

_SAMPLE_INTERVAL_S = 1.0
_PROGRESS_INTERVAL_S = 30.0
# Users end with the exchange they are in.
_END_TIMEOUT_S = EXCHANGE_TIMEOUT_S + 10


@dataclass
class Soaking:
    """What runs.

    Attributes:
        front: Where users go; its ledger gets the results.
        disturber: What happens meanwhile.
        kinds: Of traffic.
        seconds: How long.
        upgrades: How many.
        samples: One a second, of whichever process serves.
    """

    front: Front
    disturber: Disturber
    kinds: Sequence[Kind]
    seconds: float
    upgrades: int
    samples: list[Sample] = field(default_factory=list)

    async def run(self) -> None:
        """Until the time is over.

        Raises:
            ExceptionGroup: If a disturbance could not be made, or a user does not end.
        """
        users = [kind.run(self.front, kind) for kind in self.kinds for _ in range(kind.users)]
        async with asyncio.TaskGroup() as group:
            for work in [*users, *self._disturbances(), self._sample(), self._tell()]:
                group.create_task(_bounded(work, self.seconds + _END_TIMEOUT_S))
            await pause(self.front, self.seconds)
            self.front.over.set()

    def _disturbances(self) -> list[Awaitable[None]]:
        disturber = self.disturber
        work = [disturber.reload(), disturber.kill_servers()]
        return [*work, disturber.upgrade(self.upgrades, self.seconds)]

    async def _sample(self) -> None:
        start_s = time.monotonic()
        while not self.front.over.is_set():
            # In an upgrade a process may end between finding and asking it.
            with suppress(OSError):
                self.samples.append(self._look(time.monotonic() - start_s))
            await pause(self.front, _SAMPLE_INTERVAL_S)

    def _look(self, time_s: float) -> Sample:
        pid = self.disturber.program.pid
        return Sample(time_s, pid, procfs.rss_bytes(pid), procfs.fd_count(pid))

    async def _tell(self) -> None:
        """A line now and then for people who watch."""
        while not self.front.over.is_set():
            await pause(self.front, _PROGRESS_INTERVAL_S)
            ledger, last = self.front.ledger, self.samples[-1]
            done = sum(count.done for count in ledger.counts.values())
            print(
                f"{last.time_s:6.0f} s: {done} exchanges, {len(ledger.problems)} problems, "
                f"RSS {last.rss_bytes / 2**20:.1f} MiB, {last.descriptors} descriptors",
                flush=True,
            )


async def _bounded(work: Awaitable[None], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await work
