"""The documentation of the configuration is complete; tests/test_docs.py tries its examples."""

import json
import re
import typing
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from trunkline.cli import load_roles
from trunkline.core.commands.check import schema
from trunkline.core.config.load import config_model

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "concepts/configuration.md").read_text()


def models(kind: Any) -> set[type[BaseModel]]:
    """All models that a type is made of."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        inner = [models(field.annotation) for field in kind.model_fields.values()]
        return {kind}.union(*inner)
    return set().union(*(models(argument) for argument in typing.get_args(kind)))


def fields() -> list[str]:
    found = models(config_model(load_roles()))
    return sorted({name for model in found for name in model.model_fields})


def test_there_are_fields_to_look_for() -> None:
    assert {"threads", "max_ejected", "jwks_file"} <= set(fields())


@pytest.mark.parametrize("name", fields())
def test_each_key_is_described(name: str) -> None:
    assert re.search(rf"(?<![a-z_]){name}(?![a-z_])", TEXT)


def test_the_schema_file_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert schema(load_roles()) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((DOCS / "trunkline.schema.json").read_text())
