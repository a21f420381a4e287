"""The unit files and the configuration beside them belong together."""

from pathlib import Path

import pytest

from trunkline.cli import load_roles
from trunkline.core.config.load import load

FOLDER = Path(__file__).parents[2] / "examples" / "systemd"
OPENED = "trunkline.socket"


def lines(name: str) -> list[tuple[str, str]]:
    """The settings of a unit, in order; one may stand there several times."""
    text = (FOLDER / name).read_text().splitlines()
    settings = (line.partition("=") for line in text if "=" in line and not line.startswith("#"))
    return [(key, value) for key, _, value in settings]


def test_the_sockets_are_those_of_the_listeners(tmp_path: Path) -> None:
    loaded = load(FOLDER / "trunkline.toml", load_roles(), state=tmp_path)
    opened = {value for key, value in lines(OPENED) if key == "ListenStream"}
    assert opened == {str(address) for address in loaded.builder.listen_addresses()}
    assert ("BindIPv6Only", "ipv6-only") in lines(OPENED)


def test_the_service_takes_them() -> None:
    settings = lines("trunkline.service")
    assert {("Requires", OPENED), ("Sockets", OPENED), ("Type", "notify")} <= set(settings)


def test_the_grace_period_fits_into_the_stop(tmp_path: Path) -> None:
    loaded = load(FOLDER / "trunkline.toml", load_roles(), state=tmp_path)
    stop_s = int(dict(lines("trunkline.service"))["TimeoutStopSec"])
    assert stop_s * 1_000 > loaded.config.runtime.grace


@pytest.mark.parametrize("key", ["ExecStart", "ExecReload"])
def test_the_commands_exist(key: str) -> None:
    _, program, command, *_ = dict(lines("trunkline.service"))[key].split()
    assert (program, command) in {("trunkline", "up"), ("trunkline", "reload")}
