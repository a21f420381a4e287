"""`check` and `schema`: what a configuration says and may say, without running it."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from trunkline.core.commands import output
from trunkline.core.config.load import config_model, load, require_roles
from trunkline.core.config.problems import ConfigError
from trunkline.core.instance import compile_strictly
from trunkline.core.role import Role


def check(file: Path, roles: Sequence[Role]) -> int:
    """Print every problem of the file, or what it would run."""
    try:
        # What a check writes must not be in the way of who runs the file: that may be another user.
        with TemporaryDirectory(prefix="trunkline-") as state:
            loaded = load(file, roles, state=Path(state))
            require_roles(loaded, roles)
            compile_strictly(loaded)
    except ConfigError as refused:
        output.problems(refused.problems)
        count = len(refused.problems)
        output.error(f"{file}: {count} {'problem' if count == 1 else 'problems'}")
        return output.FAILED
    print(f"{file}: ok")
    return output.OK


def schema(roles: Sequence[Role]) -> int:
    """Print the JSON Schema of the configuration, for editors."""
    model = config_model(roles)
    document = model.model_json_schema(mode="validation")
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    document["title"] = "trunkline configuration"
    include = {"type": "array", "items": {"type": "string"}, "examples": [["conf.d/*.toml"]]}
    document["properties"] = {"include": include, **document["properties"]}
    output.as_json(document)
    return output.OK
