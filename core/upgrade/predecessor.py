"""The new process's side: it takes what it is given, and tells whether it can serve."""

import asyncio
import contextlib
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from trunkline.core.config.problems import ConfigError
from trunkline.core.known import Known
from trunkline.core.systemd.activation import take_sockets
from trunkline.core.upgrade.handover import Channel, encode, take_handover

# The old process answers at once, unless it has died or hangs; then we are the service.
_PATIENCE_S = 10.0


class Predecessor:
    """The process whose place this one takes."""

    def __init__(self, pid: int, end: socket.socket) -> None:
        self.pid = pid
        self._end = end
        self._channel = Channel(end)

    async def legacy(self) -> "Legacy":
        """What it knows; to be asked first."""
        message = await self._channel.receive()
        return Legacy() if message is None else Legacy(message["token"], message["servers"])

    async def take_over(self) -> None:
        """Say that this process can serve; return when it is the service.

        Raises:
            OSError: It is not: the old process would not wait, or was told to stop.
        """
        await self._channel.send({"ready": True})
        if not await self._may_serve():
            raise OSError("the running process has not waited")
        self._channel.close()

    async def _may_serve(self) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while (message := await self._channel.receive()) is not None:
                    if "serve" in message:
                        return bool(message["serve"])
        except TimeoutError:
            pass
        return True

    def report(self, error: Exception) -> None:
        """Say why this process cannot serve; nothing if it has been the service already."""
        if self._end.fileno() < 0:
            return
        told: dict[str, Any] = {"error": str(error), "problems": []}
        if isinstance(error, ConfigError):
            told["error"] = "the configuration is refused"
            told["problems"] = [problem.to_json() for problem in error.problems]
        self._end.setblocking(True)
        # The old process may have gone: then there is nobody to tell.
        with contextlib.suppress(OSError), self._end:
            self._end.sendall(encode(told))


@dataclass(frozen=True)
class Legacy:
    """What a process knows that its successor cannot know.

    Attributes:
        token: The admin token that its clients use.
        servers: What operators and checks have said of servers.
    """

    token: str | None = None
    servers: list[Known] = field(default_factory=list)


@dataclass(frozen=True)
class Inherited:
    """What was open before this process began.

    Attributes:
        listeners: Listening sockets of the data plane, and perhaps others.
        admin: That of the admin API.
        predecessor: Who hands over, if somebody does.
    """

    listeners: list[socket.socket] = field(default_factory=list)
    admin: socket.socket | None = None
    predecessor: Predecessor | None = None

    def close_listeners(self) -> None:
        """The data plane has descriptors of its own by now."""
        for listener in self.listeners:
            listener.close()

    def close_admin(self) -> None:
        """Nobody would answer on it here."""
        if self.admin is not None:
            self.admin.close()

    def has_port(self, port: int) -> bool:
        """Whether the process before this one listens on it, at whatever address."""
        given = [*self.listeners, *([] if self.admin is None else [self.admin])]
        ports = {one.getsockname()[1] for one in given}
        return self.predecessor is not None and port in ports


def take_inherited(environment: MutableMapping[str, str]) -> Inherited:
    """What a running process, or else the service manager, gives us.

    Raises:
        OSError: It cannot be understood.
    """
    handover = take_handover(environment)
    if handover is None:
        return Inherited(take_sockets(environment))
    return Inherited(
        [socket.socket(fileno=number) for number in handover.listeners],
        None if handover.admin is None else socket.socket(fileno=handover.admin),
        Predecessor(handover.predecessor, socket.socket(fileno=handover.channel)),
    )
