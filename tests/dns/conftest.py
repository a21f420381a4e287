"""A nameserver that the tests of this folder share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.dnsclient import DnsServer
from testkit.ports import free_port
from testkit.trunkline import Trunkline

ZONE = """$TTL 300
@    SOA ns admin 1 3600 600 604800 60
@    NS  ns
ns   A   127.0.0.1
www  A   192.0.2.1
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DnsServer]:
    folder: Path = tmp_path_factory.mktemp("nameserver")
    (folder / "example.zone").write_text(ZONE)
    port = free_port()
    config = f"""
[dns]
listen = ["127.0.0.1:{port}"]
identity = "here"
tcp_connections = 20
tcp_idle = "1s"
[dns.zones."example.test"]
file = "example.zone"
"""
    with Trunkline(folder, config, threads=2) as trunkline:
        yield DnsServer(trunkline, port, folder / "example.zone")
