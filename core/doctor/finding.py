"""What was found, and where it is read from."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Level = Literal["ok", "hint", "look"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        subject: What it is.
        state: How it is.
        level: `look` would stop or slow trunkline, `hint` would under some conditions.
        why: What would happen, unless it is well.
        remedy: What mends it: a command, or what to write into the configuration.
    """

    subject: str
    state: str
    level: Level = "ok"
    why: str = ""
    remedy: str = ""

    def to_json(self) -> dict[str, str]:
        """The fields as a JSON object."""
        return asdict(self)


class Host:
    """The files that the kernel tells about itself.

    Args:
        root: Where `proc` and `sys` are; `/`, or a test's folder.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def read(self, path: str) -> str | None:
        """A file's text, None if it is not there or not for us."""
        try:
            return (self.root / path).read_text().strip()
        except OSError:
            return None

    def setting(self, name: str) -> str | None:
        """A kernel setting by its name for `sysctl`."""
        return self.read(f"proc/sys/{name.replace('.', '/')}")

    def number(self, name: str) -> int | None:
        """A kernel setting that is a number."""
        text = self.setting(name)
        return int(text) if text is not None and text.lstrip("-").isdecimal() else None


def at_least(host: Host, name: str, enough: int, why: str, level: Level = "look") -> list[Finding]:
    """A kernel setting that should not be lower; nothing if this kernel does not have it."""
    value = host.number(name)
    if value is None:
        return []
    if value >= enough:
        return [Finding(name, str(value))]
    return [Finding(name, str(value), level, why, f"sysctl -w {name}={enough}")]
