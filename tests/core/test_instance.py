"""The engine compiles the plans that the roles' tests keep as files."""

from pathlib import Path

import pytest

from trunkline.cli import load_roles
from trunkline.core.config.load import load
from trunkline.core.config.problems import ConfigError
from trunkline.core.instance import apply
from trunkline.core.native import Engine

TESTS = Path(__file__).parents[1]
PLANS = ["lb/plans/minimal.toml", "lb/plans/full.toml", "gateway/plans/full.toml"]


@pytest.mark.parametrize("name", PLANS)
def test_it_compiles(name: str) -> None:
    loaded = load(TESTS / name, load_roles(), environment={"SECOND_KEY": "second"})
    assert apply(Engine(1), loaded, bind=False)["generation"] == 1


def test_what_it_refuses_has_its_place(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    text = (TESTS / "lb/plans/minimal.toml").read_text()
    file.write_text(f'{text}[lb.http.front.limits]\nhead = "1B"\nheaders = 1000000\n')
    with pytest.raises(ConfigError) as refused:
        apply(Engine(1), load(file, load_roles()), bind=False)
    keys = [(problem.line, problem.key) for problem in refused.value.problems]
    assert keys == [(11, "lb.http.front.limits.head"), (12, "lb.http.front.limits.headers")]
