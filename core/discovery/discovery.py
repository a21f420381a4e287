"""Keeps asking sources for servers, one task for each, and tells when an answer differs.

found, another list than before    remembered, told
found, the same list               nothing
found, an empty list               as if it had failed: nobody wants a pool without servers
failed                             the last list stays; logged once for each reason, tried again
                                   after 1 s, 2 s, 4 s … 30 s
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trunkline.core.config.discover import Discover
from trunkline.core.config.pool import Server
from trunkline.core.discovery.file import FileSource
from trunkline.core.discovery.source import DiscoveryError, Source

log = logging.getLogger("trunkline")

# How long a start or a reload waits for the first answers; what comes later is taken up later.
FIRST_ANSWER_S = 3.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0

# Pool of the plan and what was written for it, as JSON: a change of either is another question.
Question = tuple[str, str]


def make_source(settings: Discover, folder: Path) -> Source:
    """The source that the settings describe; paths are relative to the folder."""
    if settings.kind == "file":
        return FileSource(folder / (settings.path or ""), settings.interval / 1_000)
    # Its library takes 0.1 s to load, which only those pay who ask DNS.
    from trunkline.core.discovery.names import NamesSource

    return NamesSource(settings)


def name_of(server: Server) -> str:
    """What metrics and the admin API call it."""
    return server.name or str(server.address)


class Watch:
    """Asks one source until it is cancelled.

    Args:
        pool: For whom, as the plan names it.
        source: Who is asked.
        changed: Called when the servers are others than before.
    """

    def __init__(self, pool: str, source: Source, changed: Callable[[], None]) -> None:
        self.servers: tuple[Server, ...] = ()
        self.answered = asyncio.Event()
        self._pool = pool
        self._source = source
        self._changed = changed
        self._error: str | None = None
        self._found_at: float | None = None
        self._task = asyncio.create_task(self._run())

    def cancel(self) -> None:
        """Ask no more."""
        self._task.cancel()

    def status(self) -> dict[str, Any]:
        """For the admin API; `found_at` is in seconds since 1970."""
        return {
            "pool": self._pool,
            "source": str(self._source),
            "ok": self._error is None and self._found_at is not None,
            "error": self._error,
            "found_at": self._found_at,
            "servers": [name_of(server) for server in self.servers],
        }

    async def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                wait_s = await self._ask()
                pause_s = _FIRST_PAUSE_S
            except DiscoveryError as error:
                self._note_failure(str(error))
                wait_s, pause_s = pause_s, min(pause_s * 2, _LONGEST_PAUSE_S)
            except Exception as error:
                # Whatever a source does wrong must not end the watch over its pool.
                log.exception("discovery", extra={"pool": self._pool})
                self._note_failure(repr(error))
                wait_s, pause_s = pause_s, min(pause_s * 2, _LONGEST_PAUSE_S)
            self.answered.set()
            await asyncio.sleep(wait_s)

    async def _ask(self) -> float:
        """One question; how long its answer holds."""
        found = await self._source.find()
        if not found.servers:
            raise DiscoveryError(f"{self._source}: an empty list")
        if self._error is not None:
            log.info("discovery works again", extra={"pool": self._pool})
        self._error, self._found_at = None, time.time()
        servers = tuple(sorted(found.servers, key=name_of))
        if servers != self.servers:
            self.servers = servers
            log.info("servers found", extra={"pool": self._pool, "servers": len(servers)})
            self._changed()
        return found.valid_s

    def _note_failure(self, error: str) -> None:
        if error != self._error:
            kept = {"pool": self._pool, "error": error, "servers_kept": len(self.servers)}
            log.warning("discovery failed; the last servers stay", extra=kept)
        self._error = error


class Discovery:
    """All pools' sources.

    Args:
        changed: Called when the servers of some pool are others than before.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._watches: dict[Question, Watch] = {}

    async def follow(self, pools: Mapping[str, Discover], folder: Path) -> None:
        """Begin to ask for these too; returns when all have answered or three seconds are over."""
        for pool, settings in pools.items():
            question = _question(pool, settings)
            if question not in self._watches:
                source = make_source(settings, folder)
                self._watches[question] = Watch(pool, source, self._changed)
        waits = [self._watches[_question(*pool)].answered.wait() for pool in pools.items()]
        try:
            await asyncio.wait_for(asyncio.gather(*waits), FIRST_ANSWER_S)
        except TimeoutError:
            log.warning("discovery has not answered yet; what it finds is taken up then")

    def forget_others(self, pools: Mapping[str, Discover]) -> None:
        """Ask for these alone from now on."""
        for question in set(self._watches) - {_question(*pool) for pool in pools.items()}:
            self._watches.pop(question).cancel()

    def servers(self, pools: Mapping[str, Discover]) -> dict[str, tuple[Server, ...]]:
        """What is known of these pools."""
        known = {pool: self._watches.get(_question(pool, pools[pool])) for pool in pools}
        return {pool: watch.servers for pool, watch in known.items() if watch is not None}

    def status(self) -> list[dict[str, Any]]:
        """Each source: what it said last, and what it is."""
        return [watch.status() for watch in self._watches.values()]


def _question(pool: str, settings: Discover) -> Question:
    return pool, settings.model_dump_json()
