"""PROXY headers, byte for byte as HAProxy's ``proxy-protocol.txt`` has them, right and wrong."""

import ipaddress
from collections.abc import Iterable

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
UNSPEC, TCP4, TCP6, UNIX = 0x00, 0x11, 0x21, 0x31
ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL, SSL_VERSION = 1, 2, 3, 4, 5, 0x20, 0x21
# Castagnoli's polynomial, reflected (RFC 3720 §12.1).
_POLYNOMIAL = 0x82F63B78

Endpoint = tuple[str, int]


def v1(source: Endpoint, destination: Endpoint) -> bytes:
    """The line of version 1."""
    family = "TCP6" if ":" in source[0] else "TCP4"
    line = f"PROXY {family} {source[0]} {destination[0]} {source[1]} {destination[1]}\r\n"
    return line.encode()


def addresses(source: Endpoint, destination: Endpoint) -> bytes:
    """The addresses of version 2, of IPv4 or IPv6."""
    hosts = (ipaddress.ip_address(host).packed for host, _ in (source, destination))
    ports = (port.to_bytes(2, "big") for _, port in (source, destination))
    return b"".join([*hosts, *ports])


def tlv(kind: int, value: bytes) -> bytes:
    """One vector."""
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def block(content: bytes, *, command: int = PROXY, family: int = TCP4) -> bytes:
    """A header of version 2 around any content."""
    return SIGNATURE + bytes([command, family]) + len(content).to_bytes(2, "big") + content


def v2(source: Endpoint, destination: Endpoint, tlvs: Iterable[bytes] = ()) -> bytes:
    """A header of version 2."""
    family = TCP6 if ":" in source[0] else TCP4
    return block(addresses(source, destination) + b"".join(tlvs), family=family)


def summed(header: bytes) -> bytes:
    """The same header with a checksum as its last vector."""
    content = header[16:] + tlv(CRC32C, bytes(4))
    whole = header[:14] + len(content).to_bytes(2, "big") + content
    return whole[:-4] + crc32c(whole).to_bytes(4, "big")


def crc32c(data: bytes) -> int:
    """CRC-32C, bit by bit."""
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (_POLYNOMIAL if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF
