"""What the access log says of a request that went through (docs/concepts/access-log.md)."""

from pathlib import Path
from typing import Any

import pytest

from testkit.client import Client
from testkit.ports import free_port
from testkit.trunkline import Trunkline
from testkit.upstream import WELL_BEHAVED, Upstream, hang, read_head, send
from testkit.waiting import wait_until

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\n\r\n"
UPGRADE = (
    b"GET /tunnel HTTP/1.1\r\nHost: test\r\nUser-Agent: me\r\n"
    b"Connection: Upgrade\r\nUpgrade: chat/2\r\n\r\n"
)


def logged(proxy: Trunkline, path: str) -> dict[str, Any]:
    """The line of the only request for a path, once it is written."""
    entries: list[dict[str, Any]] = []

    def found() -> bool:
        entries[:] = [entry for entry in proxy.access_log() if entry["path"] == path]
        return bool(entries)

    wait_until(found, timeout_s=5, what="the log line")
    (entry,) = entries
    return entry


def ask(port: int, path: str, *fields: str) -> int:
    with Client(port) as client:
        head = "\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *fields])
        return client.request(f"{head}\r\n\r\n".encode()).status


@pytest.mark.usefixtures("upstream")
def test_bodies_are_counted_without_heads(ports: dict[str, int], proxy: Trunkline) -> None:
    ask(ports["plain"], "/bodies")
    entry = logged(proxy, "/bodies")
    assert (entry["request_bytes"], entry["response_bytes"]) == (0, len(b"ok"))


@pytest.mark.usefixtures("upstream")
def test_client_behind_a_trusted_proxy(ports: dict[str, int], proxy: Trunkline) -> None:
    ask(ports["trusting"], "/client", "X-Forwarded-For: 203.0.113.9")
    assert logged(proxy, "/client")["client"] == "203.0.113.9"


def test_times(ports: dict[str, int], proxy: Trunkline, upstream: Upstream) -> None:
    ask(ports["plain"], "/times")
    entry = logged(proxy, "/times")
    assert 0 < entry["first_byte_us"] <= entry["upstream_us"] <= entry["duration_us"]


def test_routes_that_came_close(tmp_path: Path) -> None:
    port = free_port()
    config = f"""
[lb.http.front]
listen = "127.0.0.1:{port}"
routes = [{{ name = "only", path = "/only", pool = "app" }}]

[lb.pools.app]
servers = ["127.0.0.1:1"]
"""
    with Trunkline(tmp_path, config) as proxy:
        assert ask(port, "/other") == 404
        assert "only" in logged(proxy, "/other")["detail"]


@pytest.mark.usefixtures("upstream")
def test_quoted_strings_in_forwarded_are_one_value(ports: dict[str, int], proxy: Trunkline) -> None:
    """RFC 7239 §4: else who chooses the host that a proxy quotes chooses an address, too."""
    chain = 'Forwarded: host="a;for=192.0.2.4, for=192.0.2.5";for=203.0.113.6'
    ask(ports["trusting_standard"], "/quoted", chain)
    assert logged(proxy, "/quoted")["client"] == "203.0.113.6"


def test_a_tunnel_tells_of_its_own_request(
    ports: dict[str, int], proxy: Trunkline, upstream: Upstream
) -> None:
    """And not of the one that used its buffer while the tunnel was open."""
    upstream.script([read_head, send(SWITCH), hang], WELL_BEHAVED)
    with Client(ports["plain"]) as tunnel:
        assert tunnel.request(UPGRADE).status == 101
        for _ in range(3):
            ask(ports["plain"], f"/{'x' * 100}", f"Authorization: {'secret' * 50}")
    entry = logged(proxy, "/tunnel")
    assert (entry["method"], entry["host"], entry["user_agent"]) == ("GET", "test", "me")
