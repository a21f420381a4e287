"""Configurations of the load balancer and the plans they become, as files side by side.

The JSON files were read against `native/crates/engine/src/plan.rs` by a person; the engine compiles
them too (tests/core/test_instance.py).
"""

import json
from pathlib import Path

import pytest

from trunkline.cli import load_roles
from trunkline.core.config.load import load

PLANS = Path(__file__).parent / "plans"


@pytest.mark.parametrize("name", ["minimal", "full"])
def test_plan(name: str) -> None:
    loaded = load(PLANS / f"{name}.toml", load_roles(), environment={})
    assert json.loads(loaded.plan) == json.loads((PLANS / f"{name}.json").read_text())


def write(folder: Path, text: str) -> Path:
    file = folder / "t.toml"
    file.write_text(text)
    return file


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
    ],
)
def test_what_the_engine_refuses_is_found_in_the_file(plan_path: str, key: str, line: int) -> None:
    loaded = load(PLANS / "full.toml", load_roles(), environment={})
    refusal = loaded.refusal([{"path": plan_path, "message": "no"}])
    (problem,) = refusal.problems
    assert (problem.key, problem.message) == (key, "no")
    assert problem.line == line


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
