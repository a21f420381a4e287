"""What the access log says of a request that went through (docs/concepts/access-log.md)."""

from pathlib import Path
from typing import Any

import pytest

from testkit.client import Client
from testkit.ports import free_port
from testkit.trunkline import Trunkline
from testkit.upstream import Upstream
from testkit.waiting import wait_until


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
