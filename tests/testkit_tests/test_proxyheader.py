"""The kit's PROXY headers: known values, and a real reader."""

from pathlib import Path

import pytest

from testkit.client import Client
from testkit.peers import write_nginx_config
from testkit.ports import free_port, is_listening
from testkit.process import Process
from testkit.proxyheader import NOOP, crc32c, summed, tlv, v1, v2

SOURCE, DESTINATION = ("203.0.113.7", 40_000), ("198.51.100.1", 443)
SOURCE6, DESTINATION6 = ("2001:db8::7", 40_000), ("2001:db8::1", 443)


def test_checksums() -> None:
    """RFC 3720 §B.4."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_a_line() -> None:
    expected = b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r\n"
    assert v1(SOURCE, DESTINATION) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (v1(SOURCE, DESTINATION), b"203.0.113.7|40000"),
        (v1(SOURCE6, DESTINATION6), b"2001:db8::7|40000"),
        (v2(SOURCE, DESTINATION), b"203.0.113.7|40000"),
        (v2(SOURCE6, DESTINATION6, [tlv(NOOP, bytes(9))]), b"2001:db8::7|40000"),
        (summed(v2(SOURCE, DESTINATION)), b"203.0.113.7|40000"),
    ],
)
def test_nginx_reads_them(tmp_path: Path, header: bytes, expected: bytes) -> None:
    port = free_port()
    answer = '"$proxy_protocol_addr|$proxy_protocol_port"'
    http = f"server {{ listen 127.0.0.1:{port} proxy_protocol; return 200 {answer}; }}"
    command = write_nginx_config(tmp_path, "nginx", http)
    with Process(command, directory=tmp_path, name="nginx") as process:
        process.wait_ready(lambda: is_listening(port))
        with Client(port) as client:
            answer_of = client.request(header + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer_of.body == expected
