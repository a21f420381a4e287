"""Keys that name something defined elsewhere in the file: a route's pool, an API's listeners.

Checked on what was written, not on the models, so that a reference into or out of a part that is
refused for another reason is still judged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trunkline.core.config.document import Document
from trunkline.core.config.positions import Path
from trunkline.core.config.problems import listing, suggestion


@dataclass(frozen=True)
class Reference:
    """The texts at `keys` name entries of `table`, both in a role's table; `*` is every key."""

    keys: tuple[str, ...]
    table: str
    noun: str


def check_reference(reference: Reference, role: str, document: Document) -> None:
    """Report each name that the table does not have."""
    known = document.names(role, reference.table)
    for path, name in _texts(document.get((role,)), (role,), reference.keys):
        if name not in known:
            hint = suggestion(name, known) or f"; there are: {listing(known)}"
            document.report(path, f'no {reference.noun} is named "{name}"{hint}')


def _texts(value: Any, path: Path, keys: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    if not keys or (keys == ("*",) and isinstance(value, str)):
        # A single string stands for an array of one wherever names are listed.
        if isinstance(value, str):
            yield path, value
        return
    first, *rest = keys
    for part, item in _items(value):
        if first in ("*", part):
            yield from _texts(item, (*path, part), tuple(rest))


def _items(value: Any) -> list[tuple[int | str, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []
