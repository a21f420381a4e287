"""What is wrong with a configuration, and where: the lines that `trunkline check` prints."""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from trunkline.core.config.positions import Path

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to mend. `line` is 0 where no line can be named, `key` empty where no key can."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"

    def to_json(self) -> dict[str, str | int]:
        """The four fields as a JSON object."""
        return asdict(self)


class ConfigError(Exception):
    """A configuration that cannot be used; `problems` names everything that was found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


def key_text(path: Path) -> str:
    """A path as people write it: `lb.http.front.routes[1].pool`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _BARE_KEY.fullmatch(part) else f'"{part}"'
            text += f".{key}" if text else key
    return text


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


def listing(names: Iterable[str]) -> str:
    """`"a", "b"` in order, or `none`."""
    return ", ".join(f'"{name}"' for name in sorted(names)) or "none"
