"""What is done to trunkline while it serves: reloads, deaths of servers, upgrades.

Each runs beside the traffic until the run is over and tells the ledger when it begins and ends.
Reloads and upgrades take turns; servers die whenever they like.
"""

import asyncio
import itertools
import time
from dataclasses import dataclass, field

from loadtests.soak.ledger import Disturbance
from loadtests.soak.program import Program
from loadtests.soak.servers import RunningServer
from loadtests.soak.site import Site
from loadtests.soak.traffic import Front, pause
from testkit.waiting import wait_until

_RELOAD_INTERVAL_S = 3.0
# Every so many reloads the configuration is broken, and must be refused.
_BROKEN_EVERY = 5
_BROKEN = "[lb.http.plain]\nlisten = 1\n"
_DEATH_INTERVAL_S = 10.0
_DEAD_S = 3.0
_RETURN_TIMEOUT_S = 30
# Users notice at their next exchange that an upgrade closed their connection: pauses are shorter.
_NOTICE_S = 2.0
# The second half is for memory, in one process; an upgrade takes as long as the grace period.
_LAST_UPGRADE_SHARE = 0.4


@dataclass
class Disturber:
    """Everything that disturbs.

    Attributes:
        program: The trunkline under soak.
        site: Its configuration.
        front: Knows when the run is over.
        mortal: The servers that may be killed.
        turn: Held by a reload or an upgrade.
    """

    program: Program
    site: Site
    front: Front
    mortal: list[RunningServer]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def reload(self) -> None:
        """Again and again: another variant of the configuration, now and then a broken one.

        Raises:
            RuntimeError: If a good one is refused or a broken one taken.
        """
        for number in itertools.count(1):
            await pause(self.front, _RELOAD_INTERVAL_S)
            if self.front.over.is_set():
                return
            async with self.turn:
                await self._reload(number, is_broken=number % _BROKEN_EVERY == 0)

    async def kill_servers(self) -> None:
        """One after the other dies, is missing for a while, and returns."""
        for server in itertools.cycle(self.mortal):
            await pause(self.front, _DEATH_INTERVAL_S)
            if self.front.over.is_set():
                return
            self.front.ledger.begin(Disturbance.DEATH, time.monotonic())
            await asyncio.to_thread(server.kill)
            await pause(self.front, _DEAD_S)
            await asyncio.to_thread(server.start)
            await asyncio.to_thread(self._wait_until_healthy)
            self.front.ledger.end(Disturbance.DEATH, time.monotonic())

    async def upgrade(self, count: int, run_s: float) -> None:
        """So many times, evenly over the first half of the run.

        Raises:
            RuntimeError: If the command failed.
            TimeoutError: If it did not come to its end.
        """
        for _ in range(count):
            await pause(self.front, run_s * _LAST_UPGRADE_SHARE / count)
            if self.front.over.is_set():
                return
            async with self.turn:
                self.front.ledger.begin(Disturbance.UPGRADE, time.monotonic())
                await asyncio.to_thread(self.program.upgrade)
                await pause(self.front, _NOTICE_S)
                self.front.ledger.end(Disturbance.UPGRADE, time.monotonic())

    async def _reload(self, number: int, *, is_broken: bool) -> None:
        kind = Disturbance.REFUSED_RELOAD if is_broken else Disturbance.RELOAD
        self.program.write_config(_BROKEN if is_broken else self.site.config(number))
        self.front.ledger.begin(kind, time.monotonic())
        status = await asyncio.to_thread(self.program.reload)
        self.front.ledger.end(kind, time.monotonic())
        if status != (422 if is_broken else 200):
            raise RuntimeError(f"{kind}: answered with {status}")
        if is_broken:  # An upgrade must find a good one.
            self.program.write_config(self.site.config(number))

    def _wait_until_healthy(self) -> None:
        wait_until(
            self.program.all_servers_healthy,
            timeout_s=_RETURN_TIMEOUT_S,
            what="the server that returned to be taken back",
        )
