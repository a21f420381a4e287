"""What the admin API says of a gateway's traffic, and what it changes in it.

Its calls one by one stand in tests/core/test_admin.py.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from testkit.gateway import ECHO, Gateway
from testkit.ports import free_port
from testkit.upstream import Upstream, answer, response
from testkit.waiting import wait_until


@pytest.fixture
def servers() -> Iterator[list[Upstream]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Upstream(ECHO)) for _ in range(3)]


def name(server: Upstream) -> str:
    return f"127.0.0.1:{server.port}"


def get(gateway: Gateway, path: str) -> Any:
    status, body = gateway.trunkline.admin("GET", path)
    assert status == 200, body
    return body


def change(gateway: Gateway, server: Upstream, **changes: object) -> Any:
    path = f"/pools/{gateway.pool}/servers/{name(server)}"
    status, body = gateway.trunkline.admin("PATCH", path, changes)
    assert status == 200, body
    return body


def shares(gateway: Gateway, servers: list[Upstream], count: int = 12) -> list[int]:
    """How many of so many requests each server gets."""
    before = Counter({server.port: len(server.requests) for server in servers})
    for _ in range(count):
        gateway.ask()
    return [len(server.requests) - before[server.port] for server in servers]


def test_status_counts_what_happened(gateway: Gateway, servers: list[Upstream]) -> None:
    good, failing, gone = servers
    failing.script(answer(response(b"", "500 Oops", "Connection: close")))
    gone.die()
    apis = {"key": 'path = "/key"\nfilters = [{ type = "api_key" }]', "it": "retry.attempts = 1"}
    gateway.serve(apis, servers=[server.port for server in servers])
    assert sorted(gateway.ask().status for _ in range(6)) == [200, 200, 500, 500, 502, 502]
    assert gateway.ask("/key").status == 401
    status = get(gateway, "/status")
    (listener,) = (entry for entry in status["listeners"] if entry["name"] == gateway.listener)
    assert listener["addresses"] == [f"127.0.0.1:{gateway.port}"]
    assert (listener["accepted"], listener["requests"]) == (7, 7)
    routes = {route["name"]: route for route in status["routes"]}
    assert routes[gateway.api("it")]["pool"] == gateway.pool
    assert routes[gateway.api("it")]["listener"] == gateway.listener
    counts = {api: routes[gateway.api(api)] for api in ("it", "key")}
    assert (counts["it"]["requests"], counts["it"]["errors_5xx"]) == (6, 4)
    assert (counts["key"]["requests"], counts["key"]["errors_5xx"]) == (1, 0)
    assert 0 < counts["it"]["p50_ms"] <= counts["it"]["p99_ms"]
    found = {server["name"]: server for server in get(gateway, f"/pools/{gateway.pool}/servers")}
    for server, requests, failures in ((good, 2, 0), (failing, 2, 0), (gone, 0, 2)):
        shown = found[name(server)]
        assert (shown["requests"], shown["failures"]) == (requests, failures)
    last = [error for error in status["recent_errors"] if error["listener"] == gateway.listener]
    assert [error["reason"] for error in last] == ["api_key_missing"] + ["connect_failed"] * 2
    assert {(error["server"], error["side"]) for error in last[1:]} == {(name(gone), "upstream")}
    assert (last[0]["route"], last[0]["status"], last[0]["side"]) == (
        gateway.api("key"),
        401,
        "client",
    )


def test_health_and_its_reasons(gateway: Gateway, servers: list[Upstream]) -> None:
    good, failing, gone = servers
    failing.script(answer(response(b"", "503 Not Now", "Connection: close")))
    gone.die()
    check = '{ kind = "http", path = "/health", interval = "50ms", rise = 1, fall = 1 }'
    pool = f"health = {check}"
    gateway.serve({"it": ""}, servers=[server.port for server in servers], pool=pool)
    expected = {
        name(good): ("eligible", "status 200"),
        name(failing): ("unhealthy", "status 503"),
        name(gone): ("unhealthy", "connect: Connection refused (os error 111)"),
    }

    def told() -> dict[str, tuple[str, str]]:
        found = get(gateway, f"/pools/{gateway.pool}/servers")
        return {server["name"]: (server["state"], server["check"]) for server in found}

    wait_until(lambda: told() == expected, timeout_s=5, what="the verdicts of the checks")
    assert [gateway.ask().status for _ in range(6)] == [200] * 6
    up = {server: _up(gateway, server) for server in expected}
    assert up == {name(good): 1, name(failing): 0, name(gone): 0}


def _up(gateway: Gateway, server: str) -> float:
    return gateway.trunkline.metric("trunkline_server_up", pool=gateway.pool, server=server)


CHANGES: dict[str, tuple[dict[str, object], str, list[int]]] = {
    # change of the first server, its state, shares of twelve requests
    "nothing new": ({"enabled": True}, "eligible", [4, 4, 4]),
    "drain": ({"draining": True}, "draining", [0, 6, 6]),
    "disable": ({"enabled": False}, "draining", [0, 6, 6]),
    "weight": ({"weight": 4}, "eligible", [8, 2, 2]),
    "no weight": ({"weight": 0}, "weight_zero", [0, 6, 6]),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_takes_effect_at_once(
    gateway: Gateway, servers: list[Upstream], case: str
) -> None:
    """On connections that are open, too; it lasts over a reload, and can be taken back."""
    changes, state, expected = CHANGES[case]
    ports = [server.port for server in servers]
    pool = 'algorithm = "weighted_round_robin"'
    gateway.serve({"it": ""}, servers=ports, pool=pool)
    assert shares(gateway, servers) == [4, 4, 4]
    assert change(gateway, servers[0], **changes)["state"] == state
    assert shares(gateway, servers) == expected
    gateway.change({"it": "", "more": 'path = "/more"'}, servers=ports, pool=pool)
    assert shares(gateway, servers) == expected
    back = change(gateway, servers[0], draining=False, enabled=True, weight=1)
    assert (back["state"], back["weight"]) == ("eligible", 1)
    assert shares(gateway, servers) == [4, 4, 4]


BROKEN = {
    # TOML behind the running configuration → key of each error
    "what the control plane sees, all at once": (
        """
        [gateway.apis.bad]
        pool = "none"
        pth = "/x"
        backend.path = "/{id}"
        [[gateway.apis.bad.filters]]
        type = "rate_limit"
        key = "ip"
        limit = 0
        period = "1s"
        [[gateway.apis.bad.filters]]
        type = "ip_access"
        """,
        ["backend.path", "filters[0].limit", "filters[1]", "pool", "pth"],
    ),
    "what the engine sees, all at once": (
        """
        [gateway.apis.bad]
        pool = "POOL"
        regex = "(["
        [[gateway.apis.bad.filters]]
        type = "rate_limit"
        key = "consumer"
        limit = 1
        period = "1s"
        [[gateway.apis.bad.filters]]
        type = "api_key"
        [[gateway.apis.bad.filters]]
        type = "cors"
        origins = "https://a.example"
        [[gateway.apis.bad.filters]]
        type = "jwt"
        algorithms = ["HS256"]
        secret = "short"
        [[gateway.apis.bad.filters]]
        type = "rate_limit"
        name = "one-name"
        key = "ip"
        limit = 1
        period = "1s"
        [[gateway.apis.bad.filters]]
        type = "rate_limit"
        name = "one-name"
        key = "ip"
        limit = 2
        period = "1s"
        """,
        ["filters[0].key", "filters[2].type", "filters[3].secret", "filters[5].name", "regex"],
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_reload_with_errors_changes_nothing(gateway: Gateway, case: str) -> None:
    addition, keys = BROKEN[case]
    limit = '{ type = "rate_limit", key = "ip", limit = 3, period = "1d" }'
    gateway.serve({"it": f"filters = [{limit}]"})
    generation = get(gateway, "/status")["generation"]
    path = gateway.trunkline.config_path
    sound = path.read_text()
    pool = gateway.pool.removeprefix("gateway.")
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with gateway.client() as client:
        assert client.request(request).status == 200
        path.write_text(sound + addition.replace("POOL", pool))
        status, refusal = gateway.trunkline.reload()
        assert status == 422
        assert _keys(refusal["errors"], path) == keys
        assert get(gateway, "/status")["generation"] == generation
        assert "bad" not in json.dumps(get(gateway, "/config"))
        # The same connection, and the same limit: two of three are left.
        assert [client.request(request).status for _ in range(3)] == [200, 200, 429]
        path.write_text(sound)
        assert gateway.trunkline.reload()[1]["generation"] == generation + 1
        assert client.request(request).status == 429


def _keys(errors: list[dict[str, Any]], path: Path) -> list[str]:
    """Keys below the broken API; each error names its line."""
    lines = path.read_text().split("\n")
    for error in errors:
        assert error["file"] == str(path)
        last_key = error["key"].rpartition(".")[2].split("[")[0]
        line = lines[error["line"] - 1]
        assert last_key in line or "[[" in line, (error, line)
    return sorted(error["key"].removeprefix("gateway.apis.bad.") for error in errors)


def test_who_does_not_know_the_token_changes_nothing(
    gateway: Gateway, servers: list[Upstream]
) -> None:
    gateway.serve({"it": ""}, servers=[servers[0].port])
    (state_file,) = (gateway.trunkline.directory / "state").glob("*.json")
    url = json.loads(state_file.read_text())["url"]
    generation = get(gateway, "/status")["generation"]
    calls = [
        ("PATCH", f"/pools/{gateway.pool}/servers/{name(servers[0])}", b'{"enabled": false}'),
        ("POST", "/reload", b""),
        ("POST", "/explain", b'{"url": "/"}'),
    ]
    for method, path, body in calls:
        for token in ("", "Bearer wrong"):
            headers = {"Content-Type": "application/json", "Authorization": token}
            asked = urllib.request.Request(url + path, data=body, headers=headers, method=method)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(asked, timeout=5)
            assert refused.value.code == 401
            refused.value.close()
    assert gateway.ask().status == 200
    assert get(gateway, "/status")["generation"] == generation


def test_it_listens_on_loopback(gateway: Gateway) -> None:
    listening = set(_listening(gateway.trunkline.pid))
    (state_file,) = (gateway.trunkline.directory / "state").glob("*.json")
    admin_port = int(json.loads(state_file.read_text())["url"].rpartition(":")[2])
    assert admin_port in {port for _, port in listening}
    assert {address for address, _ in listening} == {"127.0.0.1"}


def _listening(pid: int) -> Iterator[tuple[str, int]]:
    """Addresses of the IPv4 and IPv6 sockets on which a process listens; proc(5)."""
    own = {os.readlink(link) for link in _descriptors(pid)}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                address, _, port = fields[1].partition(":")
                octets = bytes.fromhex(address)[::-1]
                yield ".".join(map(str, octets)), int(port, 16)


def _descriptors(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/fd").iterdir())


@pytest.mark.parametrize(("token", "code"), [("", 1), ('token = "long enough"', 0)])
def test_beyond_loopback_only_with_a_token(tmp_path: Path, token: str, code: int) -> None:
    path = tmp_path / "t.toml"
    path.write_text(
        f'[admin]\nlisten = "0.0.0.0:{free_port()}"\n{token}\n'
        '[lb.pools.app]\nservers = ["127.0.0.1:1"]\n'
    )
    command = [sys.executable, "-P", "-m", "trunkline", "check", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == code, done.stderr
    assert ("admin.listen: not a loopback address" in done.stderr) == bool(code)
