"""Plays systemd: listens for what a service tells it, and opens sockets for it."""

import queue
import socket
import sys
import threading
from pathlib import Path
from typing import Self

# Descriptors begin at 3 there, and the process id is known only after the fork.
_LAUNCHER = """
import os, sys
for number, descriptor in enumerate(map(int, sys.argv[1].split(","))):
    os.dup2(descriptor, 3 + number, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """The datagram socket of ``NOTIFY_SOCKET``; whatever comes is taken at once.

    Args:
        directory: Where the socket lies; its path must be short.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "notify"
        self._messages: queue.Queue[tuple[int, dict[str, str]]] = queue.Queue()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(str(self._path))
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """What a service gets."""
        return {"NOTIFY_SOCKET": str(self._path)}

    def receive(self) -> tuple[int, dict[str, str]]:
        """The next message: the sender's process id, and the variables.

        Raises:
            queue.Empty: If none comes.
        """
        return self._messages.get(timeout=20)

    def wait_for(self, name: str) -> tuple[int, dict[str, str]]:
        """The next message that has this variable; others are thrown away.

        Raises:
            queue.Empty: If none comes.
        """
        while name not in (message := self.receive())[1]:
            pass
        return message

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", str(self._path))
        self._thread.join()
        self._socket.close()

    def _take(self) -> None:
        while (received := self._socket.recvmsg(4096, 64))[0]:
            data, ((_, _, credentials),), _, _ = received
            lines = data.decode().splitlines()
            message = dict(line.split("=", 1) for line in lines)
            self._messages.put((int.from_bytes(credentials[:4], sys.byteorder), message))


def launcher(descriptors: list[int]) -> list[str]:
    """A command prefix that hands sockets over as systemd does; they must be inherited."""
    numbers = ",".join(map(str, descriptors))
    return [sys.executable, "-c", _LAUNCHER, numbers]


def activation(names: list[str]) -> dict[str, str]:
    """The environment that goes with them; ``LISTEN_PID`` comes from the launcher."""
    return {"LISTEN_FDS": str(len(names)), "LISTEN_FDNAMES": ":".join(names)}


def listening_socket(address: str, *, both_families: bool = False) -> socket.socket:
    """A socket as a ``.socket`` unit opens it, on a free port.

    Args:
        address: IPv4 or IPv6.
        both_families: ``BindIPv6Only=both``.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server(
        (address, 0), family=family, dualstack_ipv6=both_families, reuse_port=False
    )
