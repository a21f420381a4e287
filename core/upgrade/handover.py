"""What passes between the old process and the new one.

The environment variable `TRUNKLINE_UPGRADE` tells the new process which of its descriptors are
what. Everything else goes over a socket pair, one JSON object a line:

    old → new   {"token": …, "servers": […]}   the admin token, and what is known of servers
    new → old   {"ready": true}   or {"error": …, "problems": […]} and the end of the process
    old → new   {"serve": true}   the new process is the service from now on; or false, and SIGTERM

If the pair breaks before `serve`, the old process has died, and the new one serves all the same.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import MutableMapping
from dataclasses import asdict, dataclass
from typing import Any

_VARIABLE = "TRUNKLINE_UPGRADE"
# Raised when an older process could not understand a newer one, or the other way round.
_VERSION = 1
_LONGEST_MESSAGE = 1 << 20


@dataclass(frozen=True)
class Handover:
    """Numbers of inherited descriptors.

    Attributes:
        channel: The new process's end of the pair.
        listeners: Listening sockets of the data plane.
        admin: That of the admin API, if it runs.
        predecessor: Process id of the old one.
    """

    channel: int
    listeners: list[int]
    admin: int | None
    predecessor: int

    @property
    def descriptors(self) -> list[int]:
        """All of them."""
        return [self.channel, *self.listeners, *([] if self.admin is None else [self.admin])]

    def to_environment(self) -> dict[str, str]:
        """The variable and its value."""
        return {_VARIABLE: json.dumps({"version": _VERSION, **asdict(self)})}


def take_handover(environment: MutableMapping[str, str]) -> Handover | None:
    """What the environment tells, None if nobody hands over; the variable is removed.

    The descriptors are not inherited any further.

    Raises:
        OSError: It cannot be understood, or a descriptor is not open.
    """
    text = environment.pop(_VARIABLE, None)
    if text is None:
        return None
    told = json.loads(text)
    version = told.pop("version")
    if version != _VERSION:
        raise OSError(f"the running process hands over in version {version}, not {_VERSION}")
    handover = Handover(**told)
    for descriptor in handover.descriptors:
        os.set_inheritable(descriptor, False)
    return handover


class Channel:
    """One end of the pair, on the event loop."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._received = b""

    async def receive(self) -> dict[str, Any] | None:
        """The next message, None when the other side has gone."""
        loop = asyncio.get_running_loop()
        while b"\n" not in self._received:
            try:
                data = await loop.sock_recv(self._end, _LONGEST_MESSAGE)
            except ConnectionError:
                data = b""
            if not data:
                return None
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    async def send(self, message: dict[str, Any]) -> None:
        """Nothing happens if the other side has gone."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            await loop.sock_sendall(self._end, encode(message))

    def close(self) -> None:
        """The other side sees the end."""
        self._end.close()


def encode(message: dict[str, Any]) -> bytes:
    """A message as it travels."""
    return json.dumps(message).encode() + b"\n"
