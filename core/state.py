"""Where commands find a running trunkline: one small file for each running configuration.

`$TRUNKLINE_STATE_DIR`, else `$XDG_STATE_HOME/trunkline`, else `~/.local/state/trunkline`. The
folder is the user's alone and the files hold the admin token, so their mode is 0600.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Running:
    """A running trunkline: its configuration file, process, and the way into its admin API."""

    config: str
    pid: int
    url: str
    token: str


def state_directory() -> Path:
    """The folder; it may not exist yet."""
    if chosen := os.environ.get("TRUNKLINE_STATE_DIR"):
        return Path(chosen)
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "trunkline"


def save(running: Running) -> Path:
    """Write the file in one step and return its path."""
    path = _path(running.config)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(running), file)
    fresh.replace(path)
    return path


def forget(running: Running) -> None:
    """Remove the file, unless another process has taken the configuration over."""
    if find(running.config) == running:
        _path(running.config).unlink(missing_ok=True)


def find(config: str | Path) -> Running | None:
    """What runs with this configuration file, None if nothing does.

    Raises:
        PermissionError: It is another user's.
    """
    running = _read(_path(config))
    return running if running and _is_alive(running.pid) else None


def find_all() -> list[Running]:
    """Everything that runs.

    Raises:
        PermissionError: The folder or a file in it is another user's.
    """
    found = (_read(path) for path in sorted(_files()))
    return [running for running in found if running and _is_alive(running.pid)]


def _files() -> Iterator[Path]:
    """Not `glob`, to which a folder that cannot be read is an empty one."""
    try:
        yield from (path for path in state_directory().iterdir() if path.suffix == ".json")
    except FileNotFoundError:
        return


def _path(config: str | Path) -> Path:
    name = hashlib.sha256(os.fsencode(os.path.realpath(config))).hexdigest()[:16]
    return state_directory() / f"{name}.json"


def _read(path: Path) -> Running | None:
    try:
        return Running(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
