"""From start to stop: what happens on which signal.

    SIGTERM, SIGINT   drain, then stop; the second one stops at once
    SIGHUP            reload; on an error the old configuration keeps running
    SIGUSR1           open the access log anew

The main thread runs this on uvloop; the engine's own threads serve.
"""

import asyncio
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import uvloop

from trunkline.core.admin.server import DEFAULT_ADDRESS, bind, open_admin
from trunkline.core.config.load import Loaded
from trunkline.core.config.problems import ConfigError
from trunkline.core.instance import Instance, relative_to_config
from trunkline.core.logs import set_up_logging

log = logging.getLogger("trunkline")

STOPPED, CUT_OFF = 0, 4


def serve(load: Callable[[], Loaded]) -> int:
    """Run until a signal; the exit code: 0, or 4 if the grace period cut requests off.

    Raises:
        ConfigError: The configuration is refused at the start, or an address cannot be bound.
        OSError: The state folder or the ready file cannot be written.
    """
    loaded = load()
    set_up_logging(loaded.config.logging.level, loaded.config.logging.format)
    _raise_file_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(load, loaded))


def _raise_file_limit() -> None:
    """Two descriptors for each proxied connection: take all that the host allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(load: Callable[[], Loaded], loaded: Loaded) -> int:
    instance = Instance(load, loaded)
    signals = Signals(instance)
    settings = loaded.config.admin
    # Bound first: what cannot start must not have taken a connection.
    listening = _bind_admin(loaded) if settings.enabled else None
    applied = await instance.start()
    admin = open_admin(instance, listening) if listening else None
    log.info("serving", extra={**applied, "admin": admin.running.url if admin else "off"})
    with ReadyFile(loaded):
        await signals.stop_asked.wait()
    finished = await instance.stop()
    if admin is not None:
        await admin.stop()
    if finished:
        log.info("stopped: every request finished")
        return STOPPED
    log.warning("stopped: the grace period cut off what was still open")
    return CUT_OFF


def _bind_admin(loaded: Loaded) -> socket.socket:
    address = loaded.config.admin.listen
    try:
        return bind(address)
    except OSError as error:
        raise loaded.cannot_listen(
            ("admin", "listen"), address or DEFAULT_ADDRESS, error
        ) from error


class Signals:
    """Turns signals into work on the event loop."""

    def __init__(self, instance: Instance) -> None:
        self.stop_asked = asyncio.Event()
        self._instance = instance
        self._reloads: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        loop.add_signal_handler(signal.SIGUSR1, instance.reopen_logs)

    def _stop(self, number: signal.Signals) -> None:
        if self.stop_asked.is_set():
            log.warning("asked twice: stopping at once")
            # Its threads are busy for as long as their clients like: no orderly way is quick.
            os._exit(128 + number)
        log.info("draining", extra={"signal": number.name})
        self.stop_asked.set()

    def _reload(self) -> None:
        task = asyncio.create_task(self._try_reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _try_reload(self) -> None:
        try:
            await self._instance.reload()
        except ConfigError:
            log.error("the old configuration keeps running")
        except Exception:
            log.exception("reload failed; the old configuration keeps running")


class ReadyFile:
    """A file that exists while the process is ready for traffic, if the configuration names one."""

    def __init__(self, loaded: Loaded) -> None:
        name = loaded.config.runtime.ready_file
        self._path: Path | None = relative_to_config(loaded, name) if name else None

    def __enter__(self) -> Self:
        if self._path is not None:
            self._path.write_text(f"{os.getpid()}\n")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
