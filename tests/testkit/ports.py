"""Loopback ports: free ones, and whether somebody listens on one.

A free port is only free at the moment of asking. Ports are handed out from below the ephemeral
range, so that no outgoing connection of a running test can take one in between, and none twice.
"""

import os
import random
import socket

LOOPBACK = "127.0.0.1"
# Linux hands out 32768..60999 to outgoing connections (ip_local_port_range).
LISTEN_PORTS = range(20_000, 32_000)

# In an order of this process's own, so that test runs side by side rarely ask for the same port.
_untried = iter(random.Random(os.urandom(8)).sample(LISTEN_PORTS, len(LISTEN_PORTS)))


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on.

    Raises:
        OSError: If all of ``LISTEN_PORTS`` were handed out or taken.
    """
    for port in _untried:
        if _can_bind(port):
            return port
    raise OSError("no free loopback port is left")


def is_listening(port: int, host: str = LOOPBACK) -> bool:
    """Whether a TCP connection to the port is accepted now."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
