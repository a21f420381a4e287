"""The certificates of a running configuration: ordered, taken up, followed through reloads.

A real issuer (Pebble) looks at the running engine's own listeners.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from testkit.acme import Pebble
from testkit.loopthread import LoopThread
from testkit.ports import free_port
from testkit.waiting import wait_until
from trunkline.cli import load_roles
from trunkline.core.acme.certificate import Bundle, make_stand_in
from trunkline.core.commands.check import check
from trunkline.core.config.load import Loaded, load
from trunkline.core.config.problems import ConfigError
from trunkline.core.instance import Instance


class Run:
    """An instance on a loop of its own.

    Args:
        folder: For its configuration and its state.
        text: The configuration.
    """

    def __init__(self, folder: Path, text: str) -> None:
        self.file = folder / "t.toml"
        self.file.write_text(text)
        self._state = folder / "state"
        self._loop = LoopThread("instance")
        self.instance = self._loop.call(self._start())

    async def _start(self) -> Instance:
        instance = Instance(self._load, self._load())
        await instance.start()
        return instance

    def _load(self) -> Loaded:
        return load(self.file, load_roles(), environment={}, state=self._state)

    def reload(self, text: str) -> dict[str, Any]:
        self.file.write_text(text)
        return self._loop.call(self.instance.reload())

    def status(self) -> dict[str, Any]:
        async def ask() -> dict[str, Any]:
            return self.instance.status()

        return self._loop.call(ask())

    def certificates(self) -> list[dict[str, Any]]:
        certificates: list[dict[str, Any]] = self.status()["certificates"]
        return certificates

    def wait_for(self, names: list[str], state: str = "issued") -> dict[str, Any]:
        """The only certificate, once it is for these names and in this state."""

        def found() -> bool:
            (one,) = self.certificates()
            return bool((one["names"], one["state"]) == (names, state) and one["next_attempt"])

        wait_until(found, timeout_s=20, what=f"{names} {state}, {self.certificates()}")
        return self.certificates()[0]

    def retry(self, name: str) -> None:
        async def ask() -> None:
            self.instance.retry_certificate(name)

        self._loop.call(ask())

    def metrics(self) -> str:
        async def ask() -> bytes:
            return self.instance.metrics()

        return self._loop.call(ask()).decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call(self.instance.stop())
        self._loop.stop()


@dataclass(frozen=True)
class Ports:
    """Where the issuer looks."""

    http: int
    tls: int


@pytest.fixture
def ports() -> Ports:
    return Ports(free_port(), free_port())


@pytest.fixture
def pebble(tmp_path: Path, ports: Ports) -> Iterator[Pebble]:
    (tmp_path / "pebble").mkdir()
    with Pebble(tmp_path / "pebble", http_port=ports.http, tls_port=ports.tls) as running:
        yield running


Config = Callable[[str], str]


@pytest.fixture(params=["tls-alpn-01", "http-01"])
def challenge(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def config(pebble: Pebble, ports: Ports, challenge: str) -> Config:
    """A configuration with these lines in its listener for TLS; the issuer keeps connections."""
    return lambda listener: (
        '[runtime]\ngrace = "2s"\n'
        f'[acme.test]\ndirectory = "{pebble.directory_url}"\nca = "{pebble.ca}"\n'
        f'accept_terms = true\nchallenges = ["{challenge}"]\n'
        f'[lb.http.plain]\nlisten = "127.0.0.1:{ports.http}"\npool = "app"\n'
        f'[lb.http.front]\nlisten = "127.0.0.1:{ports.tls}"\npool = "app"\n'
        f'{listener}\n[lb.pools.app]\nservers = ["127.0.0.1:9"]\n'
    )


def asking_for(*names: str) -> str:
    return f"tls.acme = {{ names = {json.dumps(names)} }}"


def test_a_certificate_is_obtained_and_taken_up(config: Config, tmp_path: Path) -> None:
    with Run(tmp_path, config(asking_for("shop.example"))) as run:
        one = run.wait_for(["shop.example"])
        assert Bundle.parse(Path(one["file"]).read_bytes()).names == {"shop.example"}
        assert (one["issuer"], one["failures"], one["last_error"]) == ("test", 0, None)
        assert run.status()["generation"] == 2, "the engine has read it"
        page = run.metrics()
    labels = '{names="shop.example",issuer="test"}'
    assert f"trunkline_acme_certificate_issued{labels} 1\n" in page
    assert f"trunkline_acme_failures{labels} 0\n" in page
    assert f"not_after_seconds{labels} {one['not_after']}\n" in page


def test_a_reload_decides_what_is_wanted(config: Config, tmp_path: Path) -> None:
    with Run(tmp_path, config("")) as run:
        assert run.certificates() == []
        assert "acme" not in run.metrics()
        run.reload(config(asking_for("a.example")))
        run.wait_for(["a.example"])
        run.reload(config(asking_for("a.example", "b.example")))
        run.wait_for(["a.example", "b.example"])
        with pytest.raises(ConfigError):
            run.reload(config("tls.acme = 1"))
        assert len(run.certificates()) == 1, "the old configuration runs on"
        run.reload(config(""))
        assert run.certificates() == []


def test_what_has_ended_is_replaced_by_a_stand_in(
    config: Config, pebble: Pebble, tmp_path: Path
) -> None:
    pebble.fail()
    servers = tmp_path / "servers.json"
    servers.write_text('["127.0.0.1:1"]')
    found = '[lb.pools.found.discover]\nkind = "file"\npath = "servers.json"\ninterval = "100ms"'
    with Run(tmp_path, config(f"{asking_for('shop.example')}\n{found}")) as run:
        file = Path(run.wait_for(["shop.example"], state="stand_in")["file"])
        ended = make_stand_in(frozenset(["shop.example"]), time.time() - 10 * 365 * 86_400)
        file.write_bytes(ended.pem)
        servers.write_text('["127.0.0.1:1", "127.0.0.1:2"]')
        wait_until(lambda: run.status()["generation"] == 2, timeout_s=10, what="the new servers")
        assert Bundle.parse(file.read_bytes()).not_after_s > time.time()


def test_what_failed_can_be_tried_again_at_once(
    config: Config, pebble: Pebble, tmp_path: Path
) -> None:
    pebble.fail()
    with Run(tmp_path, config(asking_for("shop.example"))) as run:
        failed = run.wait_for(["shop.example"], state="stand_in")
        assert "cannot reach the issuer" in failed["last_error"]
        pebble.come_back()
        run.retry("shop.example")
        run.wait_for(["shop.example"])
        with pytest.raises(LookupError, match=r"other\.example"):
            run.retry("other.example")


def test_a_check_asks_nobody_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRUNKLINE_STATE_DIR", str(tmp_path / "state"))
    file = tmp_path / "t.toml"
    file.write_text(
        f'[acme.test]\ndirectory = "https://127.0.0.1:{free_port()}/dir"\naccept_terms = true\n'
        f'[lb.http.front]\nlisten = "127.0.0.1:9200"\npool = "app"\n{asking_for("a.example")}\n'
        '[lb.pools.app]\nservers = ["127.0.0.1:9"]\n'
    )
    assert check(file, load_roles()) == 0
    assert capsys.readouterr().out == f"{file}: ok\n"
    assert not (tmp_path / "state").exists()
