"""Turns signals into work on the event loop.

    SIGTERM, SIGINT   drain, then stop; the second one stops at once
    SIGHUP            reload; on an error the old configuration keeps running
    SIGUSR1           open the access log anew
    SIGUSR2           upgrade: a new process takes over; if it cannot, this one serves on

A process that has been replaced drains already: the first SIGTERM ends its patience with idle
connections.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine

from trunkline.core.config.problems import ConfigError
from trunkline.core.instance import EndingError, Instance
from trunkline.core.upgrade.upgrader import UpgradeError, Upgrader

log = logging.getLogger("trunkline")


class Signals:
    """What the signals of this process do.

    Args:
        instance: Is reloaded, and hurried when it drains already.
        upgrader: Starts a new process.
        ending: Is set when the process is to end.
    """

    def __init__(self, instance: Instance, upgrader: Upgrader, ending: asyncio.Event) -> None:
        self.stop_asked = False
        self._instance = instance
        self._upgrader = upgrader
        self._ending = ending
        self._tasks: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._spawn, self._reload)
        loop.add_signal_handler(signal.SIGUSR1, instance.reopen_logs)
        loop.add_signal_handler(signal.SIGUSR2, self._spawn, self._upgrade)

    def _stop(self, number: signal.Signals) -> None:
        if self.stop_asked:
            log.warning("asked twice: stopping at once")
            # Its threads are busy for as long as their clients like: no orderly way is quick.
            os._exit(128 + number)
        log.info("draining", extra={"signal": number.name})
        self.stop_asked = True
        if self._instance.is_ending:
            self._instance.close_idle()
        self._ending.set()

    def _spawn(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        task = asyncio.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload(self) -> None:
        try:
            await self._instance.reload()
        except ConfigError:
            log.error("the old configuration keeps running")
        except EndingError:
            log.warning("not reloaded: this process is about to end")
        except Exception:
            log.exception("reload failed; the old configuration keeps running")

    async def _upgrade(self) -> None:
        try:
            await self._upgrader.upgrade()
        except UpgradeError as error:
            if not error.was_tried:
                log.warning("not upgraded: %s", error)
        except Exception:
            log.exception("upgrade failed; this process serves on")
