"""Configurations of the load balancer and the plans they become, as files side by side.

The JSON files were read against `native/crates/engine/src/plan.rs` by a person; the engine compiles
them too (tests/core/test_instance.py).
"""

import json
from pathlib import Path

import pytest

from testkit.plans import copy_plans
from trunkline.cli import load_roles
from trunkline.core.config.load import Loaded, load

PLANS = Path(__file__).parent / "plans"


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    """The folder with certificates."""
    return copy_plans(PLANS, tmp_path / "plans")


@pytest.fixture
def full(plans: Path, tmp_path: Path) -> Loaded:
    return load(plans / "full.toml", load_roles(), environment={}, state=tmp_path / "state")


@pytest.mark.parametrize("name", ["minimal", "full", "split"])
def test_plan(name: str, plans: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    loaded = load(plans / f"{name}.toml", load_roles(), environment={}, state=state)
    told = loaded.plan.decode().replace(str(plans), "{folder}").replace(str(state), "{state}")
    assert json.loads(told) == json.loads((PLANS / f"{name}.json").read_text())


def write(folder: Path, text: str) -> Path:
    file = folder / "t.toml"
    file.write_text(text)
    return file


SECURE = "listeners[1]"
ROUTE = f"{SECURE}.routes[0]"


@pytest.mark.parametrize(
    ("plan_path", "key", "line"),
    [
        ("listeners[0]", "lb.http.front", 7),
        ("listeners[0].addresses[1]", "lb.http.front.listen[1]", 8),
        ("listeners[0].limits.head_bytes", "lb.http.front.limits.head", 18),
        ("listeners[0].forwarding.trusted[1]", "lb.http.front.forwarding.trusted[1]", 13),
        ("listeners[0].routes[0].path.value", "lb.http.front.routes[0].path", 26),
        ("listeners[0].routes[0].timeouts.total_ms", "lb.http.front.routes[0].timeouts.total", 33),
        ("listeners[0].routes[0].rewrite.path", "lb.http.front.routes[0].rewrite.path", 45),
        ("listeners[0].routes[0].hosts[1]", "lb.http.front.routes[0].host[1]", 25),
        ("listeners[0].routes[0].methods[1]", "lb.http.front.routes[0].methods[1]", 27),
        ("listeners[0].routes[0].headers[1]", "lb.http.front.routes[0].headers.X-Debug", 28),
        ("listeners[0].routes[0].query[1]", 'lb.http.front.routes[0].query."a b"', 29),
        ("listeners[0].routes[0].cookies[1]", "lb.http.front.routes[0].cookies.Old", 30),
        ("listeners[0].routes[3].path", "lb.http.front.routes[3].regex", 62),
        (
            "listeners[0].routes[4].filters[0].response.set[0]",
            "lb.http.front.routes[4].response_headers.set",
            71,
        ),
        ("listeners[0].routes[4].filters[1].page", "lb.http.front.routes[4].maintenance.page", 69),
        ("listeners[0].routes[4].filters[2].host", "lb.http.front.routes[4].redirect.host", 70),
        ("listeners[0].routes[5].filters[0].status", "lb.http.front.routes[5].https_redirect", 76),
        ("listeners[0].routes[7]", "lb.http.front", 7),
        ("pools[0].servers[1].weight", "lb.pools.app.servers[1].weight", 85),
        ("pools[0].health.interval_ms", "lb.pools.app.health.interval", 106),
        ("access_log.sample", "access_log.sample", 4),
        (f"{SECURE}.tls.certificates[0].key", "lb.http.secure.tls.certificates[0].key", 133),
        (f"{SECURE}.tls.certificates[1].key", "lb.http.secure.tls.certificates[1]", 134),
        (f"{SECURE}.tls.certificates[2].certificate", "lb.http.secure.tls.acme", 136),
        (f"{SECURE}.tls.ciphers[0]", "lb.http.secure.tls.ciphers", 140),
        (f"{SECURE}.tls.client_auth.crl[0]", "lb.http.secure.tls.client_auth.crl", 141),
        (f"{SECURE}.tls.tickets.lifetime_s", "lb.http.secure.tls.tickets.lifetime", 142),
        (f"{SECURE}.http2.stream_window_bytes", "lb.http.secure.http2.stream_window", 128),
        (f"{SECURE}.proxy_protocol.trusted[0]", "lb.http.secure.proxy_protocol.trusted", 129),
        (f"{ROUTE}.hedge.after_ms", "lb.http.secure.routes[0].hedge.after", 150),
        (f"{ROUTE}.mirror.percent", "lb.http.secure.routes[0].mirror.percent", 149),
        (f"{ROUTE}.compression.min_bytes", "lb.http.secure.routes[0].compression.min_size", 155),
        (f"{ROUTE}.compression.levels.br", "lb.http.secure.routes[0].compression.levels.br", 156),
        (
            f"{ROUTE}.concurrency.adaptive.min",
            "lb.http.secure.routes[0].concurrency.adaptive.min",
            162,
        ),
        (f"{ROUTE}.buffer_request_bytes", "lb.http.secure.routes[0].buffer_request", 148),
        ("listeners[2].tls.certificates[0].key", "lb.http.short.tls.key", 167),
        ("pools[2].tls.key", "lb.pools.rpc.tls.key", 185),
        ("pools[2].concurrency.adaptive.min", "lb.pools.rpc.concurrency.adaptive", 178),
        ("pools[2].sticky.keys[0]", "lb.pools.rpc.sticky.key", 195),
        ("pools[2].sticky.max_age_s", "lb.pools.rpc.sticky.max_age", 196),
        ("pools[3].sticky.keys[1]", "lb.pools.shadow.sticky.key_file", 207),
        ("pools[3].tls.ca", "lb.pools.shadow.tls", 205),
    ],
)
def test_what_the_engine_refuses_is_found_in_the_file(
    full: Loaded, plan_path: str, key: str, line: int
) -> None:
    refusal = full.refusal([{"path": plan_path, "message": "no"}])
    (problem,) = refusal.problems
    assert (problem.key, problem.message) == (key, "no")
    assert problem.line == line


def test_secrets_are_not_shown(full: Loaded) -> None:
    shown = json.dumps(full.redacted()) + repr(full)
    for secret in ("a-key-that-has-32-characters-or-more", "c2VjcmV0"):
        assert secret not in shown
    assert full.redacted()["acme"]["test"]["external_account"]["hmac_key"] == "**********"


def test_one_role_of_two(tmp_path: Path) -> None:
    text = (PLANS / "minimal.toml").read_text()
    file = write(tmp_path, f'{text}[gateway.http.edge]\nlisten = "127.0.0.1:9300"\n')
    both = json.loads(load(file, load_roles()).plan)
    one = json.loads(load(file, load_roles(), only="gateway").plan)
    assert [listener["name"] for listener in both["listeners"]] == [
        "lb.http.front",
        "gateway.http.edge",
    ]
    assert [listener["name"] for listener in one["listeners"]] == ["gateway.http.edge"]


def test_a_name_becomes_its_addresses(tmp_path: Path) -> None:
    text = (PLANS / "minimal.toml").read_text().replace("127.0.0.1:9100", "localhost:9100")
    plan = json.loads(load(write(tmp_path, text), load_roles()).plan)
    (server,) = plan["pools"][0]["servers"]
    address = {"name": "localhost:9100", "address": "127.0.0.1:9100", "host": "localhost"}
    assert server == address


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ('{ address = "127.0.0.1:9100", host = "App.Internal" }', "app.internal"),
        ('"127.0.0.1:9100"', None),
        ('"[::1]:9100"', None),
    ],
)
def test_who_a_server_is_by_tls(tmp_path: Path, address: str, host: str | None) -> None:
    text = (PLANS / "minimal.toml").read_text().replace('"127.0.0.1:9100"', address)
    (pool,) = json.loads(load(write(tmp_path, text), load_roles()).plan)["pools"]
    assert [server.get("host") for server in pool["servers"]] == [host]


def test_environment_and_dollar(tmp_path: Path) -> None:
    text = (PLANS / "minimal.toml").read_text().replace("9100", "${PORT}")
    file = write(
        tmp_path, f'{text}[lb.pools.app.health]\nkind = "http"\nbody_contains = "$$${{X}}"\n'
    )
    loaded = load(file, load_roles(), environment={"PORT": "9199", "X": "1"})
    (pool,) = json.loads(loaded.plan)["pools"]
    assert pool["servers"][0]["address"] == "127.0.0.1:9199"
    assert pool["health"]["body_contains"] == "$1"


def test_included_files_add_up(tmp_path: Path) -> None:
    (tmp_path / "pools").mkdir()
    (tmp_path / "pools/b.toml").write_text('[lb.pools.b]\nservers = ["127.0.0.1:9101"]')
    text = (PLANS / "minimal.toml").read_text()
    loaded = load(write(tmp_path, 'include = ["pools/*.toml"]\n' + text), load_roles())
    assert [pool["name"] for pool in json.loads(loaded.plan)["pools"]] == ["lb.app", "lb.b"]
