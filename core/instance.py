"""A running trunkline: the engine, the configuration it runs, and what may be done to it.

Life cycle and admin API work on this object; it belongs to the event loop. What takes long
(resolving names, building a snapshot, draining) happens in a thread.
"""

import asyncio
import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from trunkline import __version__
from trunkline.core.acme.exposition import certificates_as_metrics
from trunkline.core.config.load import Loaded
from trunkline.core.config.pool import Server
from trunkline.core.config.problems import ConfigError, Problem
from trunkline.core.discovery.discovery import Discovery
from trunkline.core.known import Known, known_of, repeat
from trunkline.core.logs import set_up_logging
from trunkline.core.native import Engine, PlanError
from trunkline.core.systemd.notify import Notifier

if TYPE_CHECKING:
    from trunkline.core.acme.renewal import Renewal

log = logging.getLogger("trunkline")

# Changes of these take a new process: threads and the admin socket exist from the start.
_FIXED = ("runtime", "admin")
# Before found servers are offered again to an engine that refused them: doubled each time.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


class EndingError(Exception):
    """This process is about to end and takes up nothing new."""


class Instance:
    """One process's worth of trunkline.

    Args:
        load: Loads the configuration anew; raises ConfigError.
        loaded: The configuration to begin with.
        notifier: Hears of reloads.
    """

    def __init__(
        self, load: Callable[[], Loaded], loaded: Loaded, notifier: Notifier | None = None
    ) -> None:
        self._load = load
        self._notifier = notifier or Notifier({})
        self.loaded = loaded
        self._engine = Engine(loaded.config.runtime.threads or len(os.sched_getaffinity(0)))
        self._reloading = asyncio.Lock()
        self._started_s = time.monotonic()
        self._draining = False
        self._last_reload: dict[str, Any] | None = None
        # The engine's servers are not those that are found.
        self._discovered = asyncio.Event()
        self._warned: list[Problem] = []
        self._discovery = Discovery(self._discovered.set)
        self._feeding: asyncio.Task[None] | None = None
        self._renewal: Renewal | None = None

    async def start(self, known: Sequence[Known] = ()) -> dict[str, Any]:
        """Apply the first plan: bind, and serve.

        Args:
            known: What a process before this one knows of servers; it counts from the first
                request on.

        Raises:
            ConfigError: The engine refuses the plan, or cannot bind a listener.
        """
        if known:
            await self._apply(self.loaded, bind=False)
            repeat(known, self._plan(), self._engine)
        applied = await self._apply(self.loaded)
        await self._care_for_certificates()
        self._feeding = asyncio.create_task(self._feed())
        return applied

    @property
    def is_ready(self) -> bool:
        """Whether new connections are welcome."""
        return not self._draining and self._engine.listeners_ready()

    async def reload(self) -> dict[str, Any]:
        """Read the configuration again and swap it in: all of it or nothing.

        Returns:
            The engine's figures, and `needs_restart`: tables whose change waits for a new start.

        Raises:
            ConfigError: What is wrong; the old configuration keeps running.
            EndingError: The process is about to end.
        """
        with self._notifier.reloading(self.summary):
            return await self._reload()

    async def _reload(self) -> dict[str, Any]:
        try:
            return await self._read_and_apply()
        finally:
            # The old configuration is full of cycles; by itself the collector comes after hundreds.
            gc.collect()

    async def _read_and_apply(self) -> dict[str, Any]:
        async with self._reloading:
            if self._draining:
                raise EndingError
            # Who asks is to hear again of what is still out of order.
            self._warned = []
            try:
                loaded = await asyncio.to_thread(self._load)
                applied = await self._apply(loaded)
            except ConfigError as error:
                self._discovery.forget_others(self.loaded.builder.discover)
                self._note_reload(errors=[problem.to_json() for problem in error.problems])
                for problem in error.problems:
                    log.error("reload refused: %s", problem)
                raise
            applied["needs_restart"] = self._changed_for_good(loaded)
            self.loaded = loaded
            self._discovery.forget_others(loaded.builder.discover)
            await self._care_for_certificates()
            set_up_logging(loaded.config.logging.level, loaded.config.logging.format)
            self._note_reload(**applied)
            log.info("reloaded", extra=applied)
            return applied

    @property
    def is_ending(self) -> bool:
        """Whether it accepts nothing more."""
        return self._draining

    @property
    def changing(self) -> asyncio.Lock:
        """Held while the configuration changes; who holds it keeps it as it is."""
        return self._reloading

    @property
    def grace_s(self) -> float:
        """How long requests in flight may take at the end."""
        return self.loaded.config.runtime.grace / 1_000

    def adopt(self, sockets: Sequence[socket.socket], *, joins: bool = False) -> None:
        """Listen on these, where the configuration wants their addresses; before `start`.

        Args:
            sockets: Open ones.
            joins: Another process hands over; the nameserver's addresses are shared with it.

        Raises:
            OSError: One is no listening TCP socket.
        """
        self._engine.adopt([given.fileno() for given in sockets], joins=joins)

    def release_unclaimed(self) -> list[str]:
        """Close adopted sockets that the configuration does not want; their addresses."""
        return self._engine.release_unclaimed()

    def descriptors(self) -> list[int]:
        """The listening sockets; open as long as `changing` is held."""
        return self._engine.descriptors()

    def summary(self) -> str:
        """One line for the service manager."""
        status = orjson.loads(self._engine.status())
        listeners, workers = len(status["listeners"]), status["workers"]
        state = "draining" if self._draining else "serving"
        generation = status["generation"]
        return f"{state} {listeners} listeners on {workers} threads, configuration {generation}"

    def status(self) -> dict[str, Any]:
        """The engine's status, and the process's."""
        process = {
            "pid": os.getpid(),
            "version": __version__,
            "uptime_s": round(time.monotonic() - self._started_s, 1),
            "config": str(self.loaded.file.absolute()),
            "ready": self.is_ready,
            "draining": self._draining,
            "last_reload": self._last_reload,
        }
        engine = orjson.loads(self._engine.status())
        found = {"discovery": self._discovery.status(), "certificates": self.certificates()}
        return {"process": process, **engine, **found}

    def certificates(self) -> list[dict[str, Any]]:
        """What issuers were asked for, and what has become of it."""
        return self._renewal.status() if self._renewal else []

    def retry_certificate(self, name: str) -> None:
        """Order the certificates of a host name now, whatever failed before.

        Raises:
            LookupError: No certificate of an issuer has it.
        """
        if self._renewal is None:
            raise LookupError("no certificates are wanted of an issuer")
        self._renewal.retry(name)

    def metrics(self) -> bytes:
        """Prometheus text 0.0.4."""
        return self._engine.metrics() + certificates_as_metrics(self.certificates())

    def explain(self, request: dict[str, Any]) -> bytes:
        """What would happen to a request, as JSON.

        Raises:
            LookupError: No such listener.
            ValueError: The request makes no sense.
        """
        return self._engine.explain(orjson.dumps(request))

    def set_server(
        self,
        pool: str,
        server: str,
        *,
        weight: int | None,
        enabled: bool | None,
        draining: bool | None,
    ) -> None:
        """Change a server until the next change or restart.

        Raises:
            LookupError: No such pool or server.
        """
        self._engine.set_server(pool, server, weight=weight, enabled=enabled, draining=draining)
        changes = {"weight": weight, "enabled": enabled, "is_draining": draining}
        given = {name: value for name, value in changes.items() if value is not None}
        log.info("server changed", extra={"pool": pool, "server": server, **given})

    def known(self) -> list[Known]:
        """What operators and checks have said of servers, for a process that takes over."""
        return known_of(self._plan(), orjson.loads(self._engine.status()))

    def reopen_logs(self) -> None:
        """Open the access log anew, after it was moved away."""
        self._engine.reopen_logs()

    def retire(self) -> None:
        """Accept nothing more, in favour of another process with the same sockets.

        Connections that wait for a request may send one more, whose answer ends them: for half of
        the grace period, or until `close_idle`.
        """
        self._draining = True
        self._engine.retire()

    async def stop(self) -> bool:
        """Accept nothing more, let requests finish within the grace period, stop.

        Returns:
            Whether all finished.
        """
        self._draining = True
        if self._feeding is not None:
            self._feeding.cancel()
        if self._renewal is not None:
            await self._renewal.stop()
        self._discovery.forget_others({})
        return await asyncio.to_thread(self._engine.stop, self.grace_s, self.grace_s / 2)

    def close_idle(self) -> None:
        """Hurry an end that is under way: connections that wait for a request are closed."""
        self._engine.drain()

    def _plan(self) -> dict[str, Any]:
        """As in force, with the servers that are found."""
        builder = self.loaded.builder
        plan: dict[str, Any] = orjson.loads(
            builder.to_json(self._discovery.servers(builder.discover))
        )
        return plan

    async def _apply(self, loaded: Loaded, *, bind: bool = True) -> dict[str, Any]:
        """Swap a configuration in, with the servers that are found for it."""
        wanted = loaded.builder.discover
        self._refuse_when_ending()
        await self._discovery.follow(wanted, loaded.file.parent)
        # That may have taken seconds, and what has ended must not listen again.
        self._refuse_when_ending()
        was_pending = self._discovered.is_set()
        self._discovered.clear()
        found = self._discovery.servers(wanted)
        try:
            applied = await asyncio.to_thread(self._swap, loaded, found, bind)
        except BaseException:
            # What was found is still not in force, whichever configuration was refused.
            if was_pending:
                self._discovered.set()
            raise
        self._warn(applied.pop("warnings"))
        return applied

    def _refuse_when_ending(self) -> None:
        if self._draining:
            raise EndingError

    def _warn(self, warnings: list[Problem]) -> None:
        """Once, not with each swap; a reload asks anew."""
        for warning in warnings:
            if warning not in self._warned:
                log.warning("%s", warning)
        self._warned = warnings

    def _swap(
        self, loaded: Loaded, found: Mapping[str, Sequence[Server]], bind: bool
    ) -> dict[str, Any]:
        try:
            loaded.builder.certificates.ensure()
        except OSError as error:
            # Then the engine says what it thinks of what is there.
            log.error("cannot keep certificates: %s", error)
        return apply(self._engine, loaded, found=found, bind=bind)

    async def _care_for_certificates(self) -> None:
        """Obtain what the configuration in force asks issuers for, and forget the rest."""
        wanted = self.loaded.builder.certificates.all()
        if self._renewal is None and wanted:
            renewal = await asyncio.to_thread(_import_renewal)
            self._renewal = renewal(self._engine, self._install_certificates)
        # After `stop` nobody would end what began here.
        if self._renewal is not None and not self._draining:
            self._renewal.update(wanted)

    async def _install_certificates(self) -> None:
        """Let the engine read certificates anew; everything else stays as it is.

        Raises:
            ConfigError: It refuses them.
        """
        async with self._reloading:
            await self._apply(self.loaded)

    async def _feed(self) -> None:
        """Swap in what discovery finds; changes that come together are taken up together.

        A swap that fails is tried again: its cause, e.g. a certificate that has expired, may be
        mended without a change of the servers.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            await self._discovered.wait()
            async with self._reloading:
                # A reload may have been quicker.
                in_force = not self._discovered.is_set() or await self._take_up()
            if in_force:
                pause_s = _FIRST_PAUSE_S
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _take_up(self) -> bool:
        try:
            applied = await self._apply(self.loaded)
        except ConfigError as error:
            log.error("found servers refused: %s", error)
        except EndingError:
            log.debug("found servers come too late")
        except Exception:
            log.exception("found servers could not be taken up")
        else:
            log.info("found servers taken up", extra=applied)
            return True
        return False

    def _changed_for_good(self, loaded: Loaded) -> list[str]:
        old, new = self.loaded.config, loaded.config
        return [table for table in _FIXED if getattr(old, table) != getattr(new, table)]

    def _note_reload(self, **outcome: Any) -> None:
        self._last_reload = {"at": time.time(), "ok": "errors" not in outcome, **outcome}


def _import_renewal() -> "type[Renewal]":
    """The ACME client takes half a second to import: only for who has a use for it."""
    from trunkline.core.acme.renewal import Renewal

    return Renewal


def apply(
    engine: Engine,
    loaded: Loaded,
    *,
    bind: bool = True,
    found: Mapping[str, Sequence[Server]] | None = None,
) -> dict[str, Any]:
    """Give the engine a plan; its figures (generation, build_us, swap_us).

    `warnings` among them are the problems of what is served without. Without `bind` the plan is
    compiled and can be explained, and nothing listens. `found` are the servers that were
    discovered, by pool.

    Raises:
        ConfigError: The engine refuses it, or cannot bind; every error has its place.
        EndingError: It drains.
    """
    try:
        plan = loaded.builder.to_json(found) if found else loaded.plan
        applied: dict[str, Any] = orjson.loads(engine.apply(plan, bind=bind))
    except PlanError as error:
        raise loaded.refusal(error.errors) from error
    except OSError as error:
        raise loaded.cannot_open(error) from error
    except RuntimeError as error:
        raise EndingError from error
    applied["warnings"] = loaded.refusal(applied["warnings"]).problems
    return applied


def compile_strictly(loaded: Loaded) -> None:
    """Let an engine that serves nothing judge the plan.

    Raises:
        ConfigError: It refuses it, or would serve it without something that is asked for.
    """
    if warnings := apply(Engine(1), loaded, bind=False)["warnings"]:
        raise ConfigError(warnings)


def relative_to_config(loaded: Loaded, path: str) -> Path:
    """A path as the configuration means it: relative to its own folder."""
    return (loaded.file.parent / path).absolute()
