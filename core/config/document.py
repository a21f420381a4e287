"""The configuration as it stands in its files: read, merged, `${NAME}` expanded, keys located.

One main file may name others (`include = ["conf.d/*.toml"]`, relative to itself). Tables merge; a
key that two files define is a problem that names both places. What keys mean is not known here.
"""

import copy
import glob
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from trunkline.core.config.positions import Path, lines_of
from trunkline.core.config.problems import Problem, key_text

_TOML_ERROR_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
# No key of ours is deeper than a dozen; what comes after may recurse.
_MOST_DEPTH = 32
_TOO_DEEP = f"tables and arrays are nested more than {_MOST_DEPTH} deep"
_VARIABLE = re.compile(r"\$\$|\$\{([^}]*)\}")


@dataclass
class Document:
    """Merged data, the place of each key, and the problems met on the way."""

    main_file: str
    data: dict[str, Any] = field(default_factory=dict)
    written: dict[str, Any] = field(default_factory=dict)
    """The data before `${NAME}` was filled in."""
    places: dict[Path, tuple[str, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def place(self, path: Path) -> tuple[str, int]:
        """File and line of the key, or of the nearest table around it."""
        for length in range(len(path), 0, -1):
            if place := self.places.get(path[:length]):
                return place
        return self.main_file, 0

    def report(self, path: Path, message: str) -> None:
        """Note a problem; only the first of a key counts, the others follow from it."""
        file, line = self.place(path)
        key = key_text(path)
        if not any(problem.key == key for problem in self.problems):
            self.problems.append(Problem(file, line, key, message))

    def get(self, path: Path) -> Any:
        """The value at the path, None if there is none."""
        value: Any = self.data
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def names(self, *path: str) -> set[str]:
        """The keys of the table at the path: the named things of one kind."""
        table = self.get(path)
        return set(table) if isinstance(table, dict) else set()


def read_document(file: FilePath, environment: Mapping[str, str] | None = None) -> Document:
    """Read the file and what it includes.

    Args:
        file: The main file.
        environment: For `${NAME}`; the process's own by default.
    """
    document = Document(main_file=str(file))
    _read_into(document, file)
    for included in _included_files(document, file):
        _read_into(document, included)
    document.written = copy.deepcopy(document.data)
    _expand(document, document.data, (), os.environ if environment is None else environment)
    return document


def _read_into(document: Document, file: FilePath) -> None:
    name = str(file)
    document.files.append(name)
    try:
        # RFC 3629 §6 allows a byte order mark, and some editors write one.
        text = file.read_text(encoding="utf-8-sig")
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        document.problems.append(_syntax_problem(name, text, error))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        document.problems.append(Problem(name, line, "", "not UTF-8 text; save it as UTF-8"))
    except OSError as error:
        document.problems.append(Problem(name, 0, "", f"cannot read it: {error.strerror}"))
    except RecursionError:
        document.problems.append(Problem(name, 0, "", _TOO_DEEP))
    else:
        if _depth(data) > _MOST_DEPTH:
            document.problems.append(Problem(name, 0, "", _TOO_DEEP))
            return
        places = {path: (name, line) for path, line in lines_of(text).items()}
        _merge(document, document.data, data, (), places)
        for path, place in places.items():
            document.places.setdefault(path, place)


def _depth(data: Any) -> int:
    """Tables and arrays inside each other, level by level: it may be too deep to recurse."""
    depth, level = 0, [data]
    while level:
        depth += 1
        tables = (item.values() if isinstance(item, dict) else item for item in level)
        level = [item for items in tables for item in items if isinstance(item, dict | list)]
    return depth


def _syntax_problem(file: str, text: str, error: tomllib.TOMLDecodeError) -> Problem:
    message = str(error)
    place = _TOML_ERROR_PLACE.search(message)
    line = int(place.group(1)) if place and place.group(1) else text.count("\n") + 1
    what = _TOML_ERROR_PLACE.sub("", message)
    return Problem(file, line, "", f"not valid TOML: {what[:1].lower()}{what[1:]}")


def _merge(
    document: Document,
    into: dict[str, Any],
    data: dict[str, Any],
    path: Path,
    places: dict[Path, tuple[str, int]],
) -> None:
    for key, value in data.items():
        here = (*path, key)
        if key not in into:
            into[key] = value
        elif isinstance(into[key], dict) and isinstance(value, dict):
            _merge(document, into[key], value, here, places)
        else:
            file, line = places.get(here, (document.main_file, 0))
            first_file, first_line = document.place(here)
            message = f"defined twice; the first stands in {first_file}:{first_line}; keep one"
            document.problems.append(Problem(file, line, key_text(here), message))


def _included_files(document: Document, main: FilePath) -> list[FilePath]:
    patterns = document.data.pop("include", [])
    if not isinstance(patterns, list) or not all(isinstance(item, str) for item in patterns):
        document.report(("include",), 'must be a list of paths, e.g. ["conf.d/*.toml"]')
        return []
    files: list[FilePath] = []
    for index, pattern in enumerate(patterns):
        found = sorted(glob.glob(str(main.parent / pattern)))
        if not found and not glob.has_magic(pattern):
            document.report(("include", index), f'no file "{pattern}" beside {main}')
        files += [FilePath(name) for name in found if FilePath(name) not in files]
    return [file for file in files if file.resolve() != main.resolve()]


def _expand(document: Document, value: Any, path: Path, environment: Mapping[str, str]) -> Any:
    """`value` with every string expanded; tables and arrays change in place."""
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = _expand(document, item, (*path, key), environment)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            value[index] = _expand(document, item, (*path, index), environment)
    elif isinstance(value, str):
        return _VARIABLE.sub(lambda match: _variable(document, match, path, environment), value)
    return value


def _variable(
    document: Document, match: re.Match[str], path: Path, environment: Mapping[str, str]
) -> str:
    if match.group() == "$$":
        return "$"
    name = match.group(1)
    if name not in environment:
        message = f"environment variable {name} is not set; set it, or write $$ for a plain $"
        document.report(path, message)
        return match.group()
    return environment[name]
