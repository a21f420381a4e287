"""Questions to a running nameserver of ours, well-formed or not."""

import socket
import struct
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.query

from testkit.trunkline import Trunkline


@dataclass(frozen=True)
class DnsServer:
    """A running one.

    Attributes:
        trunkline: The process.
        port: UDP and TCP, on 127.0.0.1.
        zone: The file of its only zone, `example.test`.
    """

    trunkline: Trunkline
    port: int
    zone: Path

    def ask(self, name: str, rtype: str = "A", *, edns: int | None = None) -> dns.message.Message:
        """The answer over UDP; ``edns`` is a version."""
        question = dns.message.make_query(name, rtype, use_edns=edns)
        return dns.query.udp(question, "127.0.0.1", port=self.port, timeout=5)

    def address(self, name: str) -> str:
        """The first address of a name."""
        return str(self.ask(name).answer[0][0])

    def send(self, message: bytes) -> socket.socket:
        """Send these bytes as a datagram; answers come to the socket."""
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.settimeout(5)
        client.connect(("127.0.0.1", self.port))
        client.send(message)
        return client

    def connect(self) -> socket.socket:
        """A TCP connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)


def framed(message: bytes) -> bytes:
    """A message as it goes over TCP, behind its length."""
    return struct.pack("!H", len(message)) + message


def read_message(client: socket.socket) -> bytes:
    """The next message of a TCP connection; nothing if it has ended."""
    head = _read(client, 2)
    return _read(client, struct.unpack("!H", head)[0]) if head else b""


def _read(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = client.recv(count - len(data))
        if not piece:
            return b""
        data += piece
    return data
