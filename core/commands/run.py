"""`up` and the command of each role: run until a signal."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from trunkline.core.commands import output
from trunkline.core.config.load import Loaded, load, require_roles
from trunkline.core.config.problems import ConfigError
from trunkline.core.lifecycle import serve
from trunkline.core.role import Role


def run(file: Path, roles: Sequence[Role], only: str | None) -> int:
    """Run all roles of the file, or one."""
    try:
        return serve(partial(_load, file, roles, only))
    except ConfigError as refused:
        output.problems(refused.problems)
    except OSError as error:
        output.error(f"cannot start: {error}")
    return output.FAILED


def _load(file: Path, roles: Sequence[Role], only: str | None) -> Loaded:
    loaded = load(file, roles, only=only)
    require_roles(loaded, roles, only)
    return loaded
