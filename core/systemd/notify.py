"""Tells the service manager how the process is (sd_notify(3)): a datagram for each message.

Nothing is sent unless `NOTIFY_SOCKET` is set, and nothing that goes wrong with it stops trunkline.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping

log = logging.getLogger("trunkline.systemd")

# The manager reads at once; one that does not must not hold up the event loop.
_SEND_TIMEOUT_S = 1.0


class Notifier:
    """Speaks to the service manager that the environment names, or to nobody.

    Args:
        environment: Where `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` are looked up.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._watchdog_s = _watchdog_seconds(environment)

    def ready(self, status: Callable[[], str]) -> None:
        """Started, or reloaded; `status` is asked for a line only if somebody listens."""
        if self._address is not None:
            self._send(f"READY=1\nSTATUS={status()}")

    @contextlib.contextmanager
    def reloading(self, status: Callable[[], str]) -> Iterator[None]:
        """Within this block the configuration changes; then it is ready again."""
        # The clock is CLOCK_MONOTONIC, which systemd compares with its own (Type=notify-reload).
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1_000}")
        try:
            yield
        finally:
            self.ready(status)

    def stopping(self, status: str) -> None:
        """The end has begun."""
        self._send(f"STOPPING=1\nSTATUS={status}")

    def hand_over(self, pid: int) -> None:
        """That process is the service from now on; this one has nothing more to say."""
        self._send(f"MAINPID={pid}")
        self._address = None

    async def keep_alive(self) -> None:
        """Prove that the event loop runs, twice in each period of the watchdog, if there is one."""
        while self._watchdog_s is not None:
            # One that is lost is followed by another before the period is over.
            self._send("WATCHDOG=1", patience_s=0)
            await asyncio.sleep(self._watchdog_s / 2)

    def _send(self, message: str, patience_s: float = _SEND_TIMEOUT_S) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(patience_s)
                sender.sendto(message.encode(), self._address)
        except OSError as error:
            log.warning("the service manager does not listen: %s", error)


def _address(written: str) -> bytes | None:
    """A path, or `@` and a name of the abstract name space; not what there is for machines."""
    if written.startswith("@"):
        return b"\0" + os.fsencode(written[1:])
    return os.fsencode(written) if written.startswith("/") else None


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """The watchdog's period, if it watches this process (sd_watchdog_enabled(3))."""
    pid, period_us = environment.get("WATCHDOG_PID"), environment.get("WATCHDOG_USEC", "")
    meant = pid is None or pid == str(os.getpid())
    return int(period_us) / 1e6 if meant and period_us.isdecimal() and int(period_us) else None
