"""The engine compiles the plans that the roles' tests keep as files, and what an instance keeps."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from testkit.plans import copy_plans
from testkit.ports import free_port
from testkit.waiting import wait_until
from trunkline.cli import load_roles
from trunkline.core.config.load import Loaded, load
from trunkline.core.config.problems import ConfigError
from trunkline.core.instance import Instance, apply
from trunkline.core.native import Engine

TESTS = Path(__file__).parents[1]
PLANS = ["lb/plans/minimal.toml", "lb/plans/full.toml", "gateway/plans/full.toml"]


@pytest.mark.parametrize("name", PLANS)
def test_it_compiles(name: str, tmp_path: Path) -> None:
    source = TESTS / name
    file = copy_plans(source.parent, tmp_path / "plans") / source.name
    environment = {"SECOND_KEY": "second"}
    loaded = load(file, load_roles(), environment=environment, state=tmp_path / "state")
    assert apply(Engine(1), loaded, bind=False)["generation"] == 1


def test_what_it_refuses_has_its_place(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    text = (TESTS / "lb/plans/minimal.toml").read_text()
    file.write_text(f'{text}[lb.http.front.limits]\nhead = "1B"\nheaders = 1000000\n')
    with pytest.raises(ConfigError) as refused:
        apply(Engine(1), load(file, load_roles()), bind=False)
    keys = [(problem.line, problem.key) for problem in refused.value.problems]
    assert keys == [(11, "lb.http.front.limits.head"), (12, "lb.http.front.limits.headers")]


ROUTES = """
[[lb.http.front.routes]]
name = "first"
prefix = "/a"
pool = "app"
[[lb.http.front.routes]]
pool = "app"
"""
API = """
[gateway.http.edge]
listen = "127.0.0.1:9300"
[gateway.pools.shop]
servers = ["127.0.0.1:9100"]
[gateway.apis.orders]
pool = "shop"
"""
COSTLY = 'limit = 1, period = "1s", cost = 5'
WEAK_KEY = '{"keys": [{"kty": "oct", "k": "YWJj", "alg": "HS256"}]}'
# Added to a sound file: text, the key at fault, its line in the text, a word of the message.
REFUSED = {
    "a regex": (f'{ROUTES}regex = "/x("', "lb.http.front.routes[1].regex", 8, "unclosed group"),
    "a route that repeats another": (
        f'{ROUTES}prefix = "/a"',
        "lb.http.front.routes[1].prefix",
        8,
        "never be told",
    ),
    "a test of a header": (
        f'{ROUTES}headers = {{ X-A = "a", X-B.regex = "[" }}',
        "lb.http.front.routes[1].headers.X-B",
        8,
        "regular expression",
    ),
    "a method that cannot be answered": (
        f'{ROUTES}rewrite.method = "HEAD"',
        "lb.http.front.routes[1].rewrite.method",
        8,
        "cannot answer",
    ),
    "a path of an API": (
        f'{API}path = "/a/../b"',
        "gateway.apis.orders.path",
        8,
        "dot segments",
    ),
    "a cost that never fits": (
        f'{API}filters = [{{ type = "rate_limit", key = "ip", {COSTLY} }}]',
        "gateway.apis.orders.filters[0].cost",
        8,
        "at most the burst",
    ),
    "a short key in a JWK set": (
        f'{API}filters = [{{ type = "jwt", algorithms = ["HS256"], jwks_file = "weak.jwks" }}]',
        "gateway.apis.orders.filters[0].jwks_file",
        8,
        "32 bytes",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_it_refuses_names_the_line(name: str, tmp_path: Path) -> None:
    text, key, line, word = REFUSED[name]
    (tmp_path / "weak.jwks").write_text(WEAK_KEY)
    sound = (TESTS / "lb/plans/minimal.toml").read_text()
    file = tmp_path / "t.toml"
    file.write_text(sound + text)
    with pytest.raises(ConfigError) as refused:
        apply(Engine(1), load(file, load_roles()), bind=False)
    (problem,) = refused.value.problems
    assert (problem.key, problem.line - sound.count("\n")) == (key, line)
    assert word in problem.message


def loader(file: Path, state: Path) -> Callable[[], Loaded]:
    return lambda: load(file, load_roles(), state=state)


def found_by(instance: Instance) -> list[str]:
    """The servers that discovery knows."""
    names: list[str] = instance.status()["discovery"][0]["servers"]
    return names


def served_by(instance: Instance) -> list[str]:
    """The servers that the engine has."""
    return [server["name"] for server in instance.status()["pools"][0]["servers"]]


async def until(check: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_until, check, timeout_s=8, what=what)


def test_a_refused_reload_keeps_what_was_found(tmp_path: Path) -> None:
    """The reload comes before the swap that the found servers wait for."""
    servers, file = tmp_path / "servers.json", tmp_path / "t.toml"
    discover = f'discover = {{ kind = "file", path = "{servers}", interval = "100ms" }}'
    sound = f'[lb.http.front]\nlisten = "127.0.0.1:{free_port()}"\npool = "app"\n[lb.pools.app]\n'
    file.write_text(sound + discover)
    servers.write_text('["127.0.0.1:1"]')

    async def run() -> None:
        load_again = loader(file, tmp_path / "state")
        instance = Instance(load_again, load_again())
        await instance.start()
        file.write_text(f'{sound}{discover}\n[lb.http.front.limits]\nhead = "1B"\n')
        async with instance.changing:
            reload = asyncio.create_task(instance.reload())
            servers.write_text('["127.0.0.1:2"]')
            await until(lambda: found_by(instance) == ["127.0.0.1:2"], "the new list")
            assert served_by(instance) == ["127.0.0.1:1"]
        with pytest.raises(ConfigError):
            await reload
        await until(lambda: served_by(instance) == ["127.0.0.1:2"], "the new server")
        await instance.stop()

    asyncio.run(run())
