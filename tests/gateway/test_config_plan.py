"""Configurations of the gateway and the plans they become, as files side by side.

The JSON file was read against `native/crates/filter/src/plan.rs` by a person; the engine compiles
it too (tests/core/test_instance.py).
"""

import json
from pathlib import Path

import pytest

from testkit.plans import copy_plans
from trunkline.cli import load_roles
from trunkline.core.config.load import Loaded, load

PLANS = Path(__file__).parent / "plans"


@pytest.fixture
def full(tmp_path: Path) -> Loaded:
    plans = copy_plans(PLANS, tmp_path / "plans")
    return load(plans / "full.toml", load_roles(), environment={"SECOND_KEY": "second"})


def test_plan(full: Loaded) -> None:
    told = full.plan.decode().replace(str(full.file.parent), "{folder}")
    assert json.loads(told) == json.loads((PLANS / "full.json").read_text())


@pytest.mark.parametrize(
    ("plan_path", "key"),
    [
        ("listeners[0].routes[0].filters[2].limit", "gateway.filters[2].limit"),
        ("listeners[0].routes[0].filters[3].max_age_s", "gateway.apis.items.filters[0].max_age"),
        ("listeners[0].routes[0].filters[6].open_ms", "gateway.apis.items.filters[3].open"),
        ("listeners[0].routes[0].rewrite.headers.set[0]", "gateway.apis.items.backend.headers.set"),
        ("listeners[0].routes[0].hosts[0]", "gateway.apis.items.host"),
        ("listeners[0].routes[0].headers[0]", "gateway.apis.items.headers.Accept"),
        ("listeners[0].routes[0].query[0]", "gateway.apis.items.query.full"),
        ("listeners[0].routes[0].nothing", "gateway.apis.items"),
        ("listeners[1].routes[1].path.value", "gateway.apis.partners.prefix"),
        ("consumers[0].keys[1]", "gateway.consumers.alice.keys[1]"),
        ("listeners[1].tls.certificates[0].ocsp", "gateway.http.partners.tls.ocsp"),
        ("listeners[1].tls.client_auth.ca", "gateway.http.partners.tls.client_auth.ca"),
        ("listeners[1].routes[3].compression.min_bytes", "gateway.apis.search.compression"),
        ("listeners[1].routes[3].hedge.after_ms", "gateway.apis.search.hedge.after"),
        ("listeners[1].routes[3].mirror.pool", "gateway.apis.search.mirror.pool"),
        ("pools[1].sticky.keys[0]", "gateway.pools.search.sticky.key"),
    ],
)
def test_what_the_engine_refuses_is_found_in_the_file(
    full: Loaded, plan_path: str, key: str
) -> None:
    (problem,) = full.refusal([{"path": plan_path, "message": "no"}]).problems
    assert problem.key == key


def test_secrets_are_not_shown(full: Loaded) -> None:
    shown = json.dumps(full.redacted()) + repr(full)
    secrets = ["key-of-alice", "second", "a secret of more than 32 characters"]
    for secret in [*secrets, "a-key-that-has-32-characters-or-more"]:
        assert secret in full.plan.decode()
        assert secret not in shown


def test_what_is_shown_is_what_was_written(full: Loaded) -> None:
    api = full.redacted()["gateway"]["apis"]["items"]
    assert api["timeouts"] == {"total": "10s"}
    assert api["filters"][3]["failures"] == [429, "500-599"]
    assert api["filters"][5]["body"] == "64KB"
