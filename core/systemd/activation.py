"""Takes listening sockets that the service manager has opened (sd_listen_fds(3)).

They begin at descriptor 3; `LISTEN_FDS` says how many there are, `LISTEN_PID` for which process,
and `LISTEN_FDNAMES` how they are called. Which listener a socket belongs to is told by its address,
so the names serve messages alone.
"""

import logging
import os
import socket
from collections.abc import MutableMapping

log = logging.getLogger("trunkline.systemd")

_FIRST = 3
_VARIABLES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


def take_sockets(environment: MutableMapping[str, str], first: int = _FIRST) -> list[socket.socket]:
    """The listening TCP sockets that are meant for this process.

    The variables are removed, so that no child believes that they are its own; what is not a
    listening TCP socket is closed.

    Args:
        environment: `os.environ`.
        first: The first descriptor.
    """
    count, names = _described(environment)
    for name in _VARIABLES:
        environment.pop(name, None)
    found = [_open(first + number, names[number]) for number in range(count)]
    return [each for each in found if each is not None]


def _described(environment: MutableMapping[str, str]) -> tuple[int, list[str]]:
    """How many there are, and what each is called."""
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal():
        return 0, []
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    return int(count), [*names, *["unknown"] * int(count)]


def _open(descriptor: int, name: str) -> socket.socket | None:
    try:
        given = socket.socket(fileno=descriptor)
    except OSError as error:
        log.warning("socket %s (descriptor %d): %s", name, descriptor, error.strerror)
        return None
    given.set_inheritable(False)
    if is_listening_tcp(given):
        return given
    log.warning("socket %s (descriptor %d) is no listening TCP socket: closed", name, descriptor)
    given.close()
    return None


def is_listening_tcp(given: socket.socket) -> bool:
    """Whether connections can be accepted from it, as HTTP has them."""
    is_tcp = given.family in {socket.AF_INET, socket.AF_INET6} and given.type == socket.SOCK_STREAM
    return is_tcp and bool(given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
