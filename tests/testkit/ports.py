"""Loopback ports: free ones, and whether somebody listens on one.

A free port is only free at the moment of asking. Ports are handed out from below the ephemeral
range, so that no outgoing connection of a running test can take one in between.
"""

import os
import random
import socket

LOOPBACK = "127.0.0.1"
# Linux hands out 32768..60999 to outgoing connections (ip_local_port_range).
LISTEN_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on.

    Raises:
        OSError: If 1 000 random ports were all taken.
    """
    # Seeded by process, so that test runs side by side rarely ask for the same port.
    candidates = random.Random(os.urandom(8))
    for _ in range(1_000):
        port = candidates.choice(LISTEN_PORTS)
        if _can_bind(port):
            return port
    raise OSError("no free loopback port found")


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
