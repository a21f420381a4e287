"""How commands speak: results on standard output, errors on standard error, plain when piped."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from trunkline.core.config.problems import Problem

# Keys of times in nanoseconds since 1970 end so.
_UNIX_NS = "_unix_ns"
# Keys of times in seconds since 1970.
_UNIX_S = {"at", "found_at", "not_before", "not_after", "next_attempt"}

OK, FAILED, NOT_RUNNING, NO_ANSWER = 0, 1, 3, 5


def console() -> Console:
    """Standard output; a pipe gets whole lines of plain text."""
    piped = not sys.stdout.isatty()
    return Console(highlight=False, markup=False, width=1_000 if piped else None)


def error(message: str) -> None:
    """A line on standard error."""
    print(message, file=sys.stderr)


def problems(found: Sequence[Problem]) -> None:
    """Problems on standard error, one a line, as editors and people expect them."""
    for problem in found:
        error(str(problem))


def as_json(value: Any) -> None:
    """Indented JSON on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def table(title: str, rows: Sequence[dict[str, Any]]) -> Table:
    """Rows of one shape as a table: a column for each key, `name` first, nested values left out."""
    found = dict.fromkeys(name for row in rows for name, value in row.items() if _flat(value))
    names = sorted(found, key=lambda name: name != "name")
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in names:
        shown.add_column(name.removesuffix(_UNIX_NS).replace("_", " "))
    for row in rows:
        shown.add_row(*(_cell(name, row.get(name)) for name in names))
    return shown


def outline(value: Any, indent: int = 0) -> list[str]:
    """Nested data as indented lines `name: value`."""
    lines: list[str] = []
    pairs = value.items() if isinstance(value, dict) else (("-", item) for item in value)
    for name, item in pairs:
        label = f"{'  ' * indent}{name}" + ("" if name == "-" else ":")
        if isinstance(item, dict | list) and item:
            lines += [label, *outline(item, indent + 1)]
        else:
            lines.append(f"{label} {_cell(name, item)}".rstrip())
    return lines


def _flat(value: Any) -> bool:
    is_list_of_plain = isinstance(value, list) and not any(
        isinstance(item, dict | list) for item in value
    )
    return is_list_of_plain or not isinstance(value, dict | list)


def _cell(name: str, value: Any) -> str:
    if name.endswith(_UNIX_NS):
        return _time(value / 1e9)
    if name in _UNIX_S and value is not None:
        return _time(value)
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case list() | dict():
            return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)


def _time(unix_s: float) -> str:
    """Local time with its offset, to the second."""
    return datetime.fromtimestamp(unix_s).astimezone().isoformat(" ", "seconds")
