"""How to start this program again, so that a version installed meanwhile is the one that starts."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path


def own_command(
    script: str | None = None,
    executable: str | None = None,
    arguments: Sequence[str] | None = None,
) -> list[str]:
    """The command of this process, to be called at its start: the folder may change later.

    A script that can be executed (`/usr/bin/trunkline`) is started by its name, whatever Python its
    first line will name by then; else (`python -m trunkline`) it is this Python with the same
    arguments. Links are followed when it is started, not now.

    Args:
        script: `sys.argv[0]`.
        executable: `sys.executable`.
        arguments: `sys.orig_argv`: the interpreter's own and ours.
    """
    script = sys.argv[0] if script is None else script
    given = sys.orig_argv if arguments is None else arguments
    path = Path(script)
    if script and path.is_file() and os.access(path, os.X_OK) and script in given:
        return [str(path.absolute()), *given[list(given).index(script) + 1 :]]
    return [executable or sys.executable, *given[1:]]
