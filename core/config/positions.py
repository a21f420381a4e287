"""Where each key of a TOML text stands: a map from key path to line number.

Works on text that `tomllib` has already accepted, so it looks for structure only and never judges:
on text that is not TOML the answer is undefined. A path is a tuple of keys and array indexes, for
example `("lb", "http", "front", "routes", 1, "pool")`.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Callable

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r'[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|\'[^\']*\'')
# Multi-line strings first; their last quotes may be preceded by one or two of the same.
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def lines_of(text: str) -> dict[Path, int]:
    """The line (from 1) on which each key, table and array element of `text` is first written."""
    return _Scanner(text.replace("\r\n", "\n")).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._lines: dict[Path, int] = {}
        self._table_counts: dict[Path, int] = {}

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        self._skip_blank()
        while self._at < len(self._text):
            if self._take("[["):
                table = self._array_table()
            elif self._take("["):
                table = self._header_path()
                self._note(table)
            else:
                self._key_value(table)
            self._skip_blank()
        return self._lines

    def _array_table(self) -> Path:
        array = self._header_path(is_array=True)
        index = self._table_counts.get(array, 0)
        self._table_counts[array] = index + 1
        self._note(array)
        self._note((*array, index))
        return (*array, index)

    def _header_path(self, *, is_array: bool = False) -> Path:
        """The path of a `[header]`: each array of tables on the way means its last element."""
        keys = self._dotted_key()
        self._at = self._text.index("]", self._at) + (2 if is_array else 1)
        path: Path = ()
        for depth, key in enumerate(keys):
            path = (*path, key)
            if path in self._table_counts and not (is_array and depth == len(keys) - 1):
                path = (*path, self._table_counts[path] - 1)
            elif depth < len(keys) - 1:
                self._note(path)
        return path

    def _key_value(self, table: Path) -> None:
        path = table
        for key in self._dotted_key():
            path = (*path, key)
            self._note(path)
        self._at = self._text.index("=", self._at) + 1
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip_blank()
        self._note(path)
        if self._take("{"):
            self._items("}", lambda _: self._key_value(path))
        elif self._take("["):
            self._items("]", lambda index: self._value((*path, index)))
        else:
            match = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
            self._at = match.end() if match else len(self._text)

    def _items(self, end: str, item: Callable[[int], None]) -> None:
        index = 0
        self._skip_blank()
        while not self._take(end) and self._at < len(self._text):
            item(index)
            index += 1
            self._skip_blank()
            self._take(",")
            self._skip_blank()

    def _dotted_key(self) -> list[str]:
        keys: list[str] = []
        while True:
            self._skip_blank()
            match = _KEY.match(self._text, self._at)
            if match is None:
                self._at = len(self._text)
                return keys
            keys.append(_plain(match.group()))
            self._at = match.end()
            self._skip_blank()
            if not self._take("."):
                return keys

    def _note(self, path: Path) -> None:
        self._lines.setdefault(path, bisect_right(self._line_starts, self._at))

    def _skip_blank(self) -> None:
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _take(self, token: str) -> bool:
        found = self._text.startswith(token, self._at)
        self._at += len(token) if found else 0
        return found


def _plain(key: str) -> str:
    """A key without its quotes; escapes are left to the parser that defines them."""
    if key[0] not in "\"'":
        return key
    (name,) = tomllib.loads(f"{key} = 0")
    return name
