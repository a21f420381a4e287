"""From start to end: alone, or from and to another process that takes over (docs/design/003).

The main thread runs this on uvloop; the engine's own threads serve.
"""

import asyncio
import errno
import gc
import logging
import os
import resource
import socket
from collections.abc import Callable

import uvloop

from trunkline.core.admin.server import (
    DEFAULT_ADDRESS,
    AdminServer,
    choose_socket,
    choose_token,
    open_admin,
    wanted_address,
)
from trunkline.core.config.load import Loaded
from trunkline.core.config.problems import ConfigError
from trunkline.core.instance import Instance
from trunkline.core.logs import set_up_logging
from trunkline.core.readyfile import ReadyFile
from trunkline.core.signals import Signals
from trunkline.core.systemd.notify import Notifier
from trunkline.core.upgrade.command import own_command
from trunkline.core.upgrade.predecessor import Inherited, Legacy, take_inherited
from trunkline.core.upgrade.upgrader import Estate, Upgrader

log = logging.getLogger("trunkline")

STOPPED, CUT_OFF = 0, 4
_ADMIN_LISTEN = ("admin", "listen")
_HELD = (
    "cannot listen on {}: the running process's own listener holds the port at another address, "
    "and holds it until it ends; this change takes a stop and a start, not an upgrade"
)


def serve(load: Callable[[], Loaded]) -> int:
    """Run until a signal, or until another process has taken over.

    Returns:
        The exit code: 0, or 4 if the grace period cut requests off.

    Raises:
        ConfigError: The configuration is refused at the start, or an address cannot be bound.
        OSError: The state folder or the ready file cannot be written.
    """
    command = own_command()
    inherited = take_inherited(os.environ)
    try:
        loaded = load()
        set_up_logging(loaded.config.logging.level, loaded.config.logging.format)
        _raise_file_limit()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_Life(load, loaded, inherited, command).run())
    except (ConfigError, OSError) as error:
        if inherited.predecessor is not None:
            inherited.predecessor.report(error)
        raise


def _settle_memory() -> None:
    """What is there now stays: the collector need not look at it again, each time for 50 ms."""
    gc.collect()
    gc.freeze()


def _raise_file_limit() -> None:
    """Two descriptors for each proxied connection: take all that the host allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Life:
    """One process's, made outside of the event loop and run inside."""

    def __init__(
        self,
        load: Callable[[], Loaded],
        loaded: Loaded,
        inherited: Inherited,
        command: list[str],
    ) -> None:
        self._loaded = loaded
        self._inherited = inherited
        self._ending = asyncio.Event()
        self._notifier = Notifier(os.environ)
        self._ready_file = ReadyFile(loaded)
        self._instance = Instance(load, loaded, self._notifier)
        self._upgrader = Upgrader(self._instance, self._notifier, command, self._replaced)
        self._admin: AdminServer | None = None

    async def run(self) -> int:
        """From the first socket to the last connection; the exit code."""
        signals = Signals(self._instance, self._upgrader, self._ending)
        await self._begin()
        _settle_memory()
        watchdog = asyncio.create_task(self._notifier.keep_alive())
        await self._ending.wait()
        if signals.stop_asked:
            await self._upgrader.abandon()
        if self._upgrader.successor is None:
            finished = await self._stop()
        else:
            finished = await self._step_back()
        watchdog.cancel()
        if finished:
            log.info("stopped: every request finished")
            return STOPPED
        log.warning("stopped: the grace period cut off what was still open")
        return CUT_OFF

    async def _begin(self) -> None:
        settings = self._loaded.config.admin
        # Bound first: what cannot start must not have taken a connection.
        listening = self._admin_socket() if settings.enabled else None
        if listening is None:
            self._inherited.close_admin()
        predecessor = self._inherited.predecessor
        legacy = Legacy() if predecessor is None else await predecessor.legacy()
        self._instance.adopt(self._inherited.listeners, joins=predecessor is not None)
        applied = await self._instance.start(legacy.servers)
        try:
            self._inherited.close_listeners()
            self._name_unclaimed()
            self._admin = self._open_admin(listening, legacy.token) if listening else None
            self._ready_file.write()
            if predecessor is not None:
                await predecessor.take_over()
        except OSError as error:
            if predecessor is not None:
                predecessor.report(error)
            # What was accepted by then is served all the same; others accept on the same sockets.
            self._instance.retire()
            await self._stop()
            raise
        self._upgrader.estate = self._estate(listening, self._admin)
        self._notifier.ready(self._instance.summary)
        url = self._admin.running.url if self._admin else "off"
        log.info("serving", extra={**applied, "admin": url})

    def _admin_socket(self) -> socket.socket:
        address = wanted_address(self._loaded)
        is_held = address is not None and self._inherited.has_port(address.port)
        try:
            return choose_socket(address, self._inherited)
        except OSError as error:
            at = address or DEFAULT_ADDRESS
            if is_held and error.errno == errno.EADDRINUSE:
                raise self._loaded.problem(_ADMIN_LISTEN, _HELD.format(at)) from error
            raise self._loaded.cannot_listen(_ADMIN_LISTEN, at, error) from error

    def _name_unclaimed(self) -> None:
        """Sockets that nobody listens on: in an upgrade, those of listeners that were removed."""
        level = logging.WARNING if self._inherited.predecessor is None else logging.INFO
        for address in self._instance.release_unclaimed():
            log.log(level, "no listener is on %s: the socket that was given is closed", address)

    def _open_admin(self, listening: socket.socket, known_token: str | None) -> AdminServer:
        token = choose_token(self._loaded, known_token)
        return open_admin(self._instance, listening, token, self._upgrader.upgrade)

    def _estate(self, listening: socket.socket | None, admin: AdminServer | None) -> Estate:
        def reclaim() -> None:
            if self._ending.is_set():
                return
            try:
                if admin is not None:
                    admin.leave_word()
                self._ready_file.write()
            except OSError as error:
                log.error("word of this process cannot be left: %s", error)

        return Estate(listening, admin.running.token if admin else None, reclaim)

    def _replaced(self) -> None:
        # At once: whoever learns of the upgrade and connects again is to meet the new process.
        self._instance.retire()
        if self._admin is not None:
            self._admin.stop_accepting()
        self._ending.set()

    async def _stop(self) -> bool:
        """The service ends, or has not become one."""
        if self._upgrader.estate is not None:
            self._notifier.stopping("draining")
        self._ready_file.remove()
        finished = await self._instance.stop()
        if self._admin is not None:
            self._admin.forget_word()
            await self._admin.stop()
        return finished

    async def _step_back(self) -> bool:
        """Another process is the service: its admin API answers, and the files are its own.

        If it has none, or others, ours go.
        """
        self._ready_file.remove()
        if self._admin is not None:
            self._admin.forget_word()
        stopping = self._instance.stop()
        if self._admin is None:
            return await stopping
        finished, _ = await asyncio.gather(stopping, self._admin.stop())
        return finished
