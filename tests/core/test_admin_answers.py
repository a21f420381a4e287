"""What the admin API says of itself is true: every answer is as `/openapi.json` describes it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from testkit.client import Client
from testkit.ports import free_port
from testkit.trunkline import TOKEN, Trunkline
from testkit.upstream import Upstream
from testkit.waiting import wait_until
from trunkline.core.admin import answers

GUARDED_ALIKE = {"get", "post", "patch"}
OPEN = {"/healthz", "/readyz", "/metrics"}
# Something of everything that the status can tell.
CONFIG = """
[lb.http.front]
listen = "127.0.0.1:{port}"
[[lb.http.front.routes]]
name = "divided"
prefix = "/divided"
split = [{{ pool = "app", weight = 9 }}, {{ pool = "found", weight = 1 }}]
concurrency.max = 10
[[lb.http.front.routes]]
name = "gone"
path = "/gone"
pool = "gone"
retry.attempts = 1
[[lb.http.front.routes]]
name = "found"
prefix = "/found"
pool = "found"
[[lb.http.front.routes]]
name = "fixed"
path = "/fixed"
respond = {{ body = "hi" }}
[[lb.http.front.routes]]
name = "app"
prefix = "/app"
pool = "app"
[lb.pools.app]
servers = ["127.0.0.1:{upstream}"]
concurrency.max = 10
[lb.pools.gone]
servers = ["127.0.0.1:{gone}", {{ address = "127.0.0.1:{upstream}", backup = true }}]
outlier = {{ consecutive_failures = 1, base_ejection = "1m" }}
[lb.pools.found]
discover = {{ kind = "file", path = "servers.json" }}
[gateway.http.edge]
listen = "127.0.0.1:{edge}"
[gateway.pools.shop]
servers = ["127.0.0.1:{upstream}"]
[gateway.apis.orders]
path = "/orders"
pool = "shop"
filters = [
    {{ type = "rate_limit", key = "ip", limit = 100, period = "1s" }},
    {{ type = "circuit_breaker", consecutive_failures = 5 }},
]
"""


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {name: free_port() for name in ("port", "edge", "gone")}


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]) -> Iterator[Trunkline]:
    """One that has served, failed, and been reloaded."""
    folder = tmp_path_factory.mktemp("busy")
    with Upstream() as upstream:
        (folder / "servers.json").write_text(f'["127.0.0.1:{upstream.port}"]')
        config = CONFIG.format(upstream=upstream.port, **ports)
        with Trunkline(folder, config, threads=2) as running:
            for path in ("/divided", "/gone", "/found", "/fixed", "/app", "/none"):
                ask(ports["port"], path)
            ask(ports["edge"], "/orders")
            running.write_config("[lb]\nnonsense = 1\n")
            assert running.reload()[0] == 422
            running.write_config(config)
            yield running


def ask(port: int, path: str) -> int:
    with Client(port) as client:
        return client.request(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()).status


@pytest.fixture
def admin(busy: Trunkline) -> Iterator[httpx.Client]:
    (state,) = (busy.directory / "state").glob("*.json")
    url = TypeAdapter(dict[str, Any]).validate_json(state.read_bytes())["url"]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=20) as client:
        yield client


ANSWERS: dict[str, Any] = {
    "/status": answers.Status,
    "/listeners": list[answers.Listener],
    "/routes": list[answers.Route],
    "/errors": list[answers.RecentError],
    "/pools": list[answers.Pool],
    "/pools/lb.app/servers": list[answers.Server],
    "/discovery": list[answers.Discovered],
    "/limits": list[answers.Limiter],
    "/breakers": list[answers.Breaker],
    "/certificates": list[answers.Certificate],
}


@pytest.mark.parametrize("path", ANSWERS)
def test_an_answer_is_as_described(admin: httpx.Client, path: str) -> None:
    """Every field is known, and none is missing."""
    TypeAdapter(ANSWERS[path]).validate_json(admin.get(path).content, strict=True)


def test_the_example_has_something_of_everything(admin: httpx.Client) -> None:
    status = admin.get("/status").json()
    assert all(
        status[name]
        for name in (
            "listeners",
            "routes",
            "pools",
            "limiters",
            "breakers",
            "recent_errors",
            "discovery",
        )
    )
    assert status["process"]["last_reload"]["errors"]
    assert any("split" in route and "concurrency" in route for route in status["routes"])
    servers = [server for pool in status["pools"] for server in pool["servers"]]
    assert any(server["ejection"] for server in servers)


def test_a_reload_is_as_described(admin: httpx.Client) -> None:
    answers.Reloaded.model_validate_json(admin.post("/reload").content, strict=True)
    answers.Status.model_validate_json(admin.get("/status").content, strict=True)


def test_counters_agree(busy: Trunkline, admin: httpx.Client, ports: dict[str, int]) -> None:
    def of(path: str, name: str) -> Any:
        (found,) = [entry for entry in admin.get(path).json() if entry["name"] == name]
        return found

    before = of("/routes", "lb.front.app")
    assert ask(ports["port"], "/app") == 200
    wait_until(
        lambda: of("/routes", "lb.front.app")["requests"] == before["requests"] + 1,
        timeout_s=5,
        what="the request to be counted",
    )
    after = of("/routes", "lb.front.app")
    assert after["responses"] == {"2xx": after["requests"]}
    assert after["latency"]["count"] == after["requests"]
    assert after["latency"]["total_ms"] > before["latency"]["total_ms"]
    assert after["body_bytes"]["response"] == before["body_bytes"]["response"] + len("ok")
    (server,) = admin.get("/pools/lb.app/servers").json()
    assert server["tries"]["connects"] + server["tries"]["reuses"] == server["requests"]
    assert server["responses"] == {"2xx": server["requests"]}
    listener = of("/listeners", "lb.http.front")
    assert listener["failures"] == {"connect_failed": 1, "route_not_found": 1}
    assert listener["open_connections"] == sum(listener["open_by_worker"])
    assert len(listener["open_by_worker"]) == 2
    assert listener["connections_limit"] == 100_000


def test_one_server(admin: httpx.Client) -> None:
    (server,) = admin.get("/pools/lb.app/servers").json()
    path = f"/pools/lb.app/servers/{server['name']}"
    assert admin.get(path).json()["address"] == server["address"]
    assert admin.patch(path, json={"weight": 7}).json()["weight"] == 7
    assert admin.get(path).json()["weight"] == 7
    assert admin.get("/pools/lb.app/servers/none").status_code == 404
    assert admin.get("/pools/none/servers/none").status_code == 404


CONDITIONS: dict[str, tuple[dict[str, str | int], set[str]]] = {
    "none": ({}, {"connect_failed", "route_not_found"}),
    "a reason": ({"reason": "connect_failed"}, {"connect_failed"}),
    "a side": ({"side": "client"}, {"route_not_found"}),
    "a listener": ({"listener": "gateway.http.edge"}, set()),
    "a route": ({"route": "lb.front.gone"}, {"connect_failed"}),
    "two": ({"side": "client", "reason": "connect_failed"}, set()),
    "after the last": ({"after": 1_000}, set()),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_failures_are_filtered(admin: httpx.Client, name: str) -> None:
    conditions, expected = CONDITIONS[name]
    found = admin.get("/errors", params=conditions).json()
    assert {error["reason"] for error in found} == expected


def test_failures_come_newest_first(admin: httpx.Client) -> None:
    newest, oldest = admin.get("/errors").json()
    assert (newest["reason"], oldest["reason"]) == ("route_not_found", "connect_failed")
    assert newest["id"] > oldest["id"]
    assert admin.get("/errors", params={"after": oldest["id"]}).json() == [newest]
    assert admin.get("/errors", params={"limit": 1}).json() == [newest]
    assert admin.get("/errors", params={"server": oldest["server"]}).json() == [oldest]


@pytest.mark.parametrize("query", ["side=nobody", "limit=0", "after=-1", "after=x"])
def test_a_condition_that_makes_no_sense(admin: httpx.Client, query: str) -> None:
    assert admin.get(f"/errors?{query}").status_code == 422


@pytest.fixture
def described(admin: httpx.Client) -> Any:
    return admin.get("/openapi.json").json()


def test_every_call_is_described(described: Any) -> None:
    for path, calls in described["paths"].items():
        for method, call in calls.items():
            assert method in GUARDED_ALIKE
            assert call["description"], path
            assert call["tags"], path
            content = call["responses"]["200"]["content"]
            assert all(media.get("schema") or path in OPEN for media in content.values()), path
            assert ("401" in call["responses"]) == (path not in OPEN), path
            assert ("security" in call) == (path not in OPEN), path


def test_every_field_is_described(described: Any) -> None:
    ours = {
        name: schema
        for name, schema in described["components"]["schemas"].items()
        if name not in {"HTTPValidationError", "ValidationError"}
    }
    assert ours
    for name, schema in ours.items():
        assert schema["description"], name
        for field, described_field in schema["properties"].items():
            # One that says of itself what its type says is described there.
            assert {"description", "$ref"} & described_field.keys(), f"{name}.{field}"
