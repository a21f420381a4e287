"""Lines of keys in TOML that is as hard to scan as TOML allows."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.config.positions import Path, lines_of

NASTY = '''\
# [not.a.table]
title = "# not a comment"  # a comment with [brackets] = 1
a.b . "c d".'e.f' = 1
'quoted "key"' = 'C:\\\\no\\\\escape'
"\\u00e9\\"q" = 2
multi = """
x = 1
[no]
ends with a quote \\""""" # two quotes before the end
literal = \'\'\'
k = \'\'inside\'\'
\'\'\'
array = [ # comment ]
  1, "two]", [ 3,
    { x = 4, y.z = "}" } ],
  """
  """, 5,
]
date = 1979-05-27 07:32:00
inline = { p = { q = [1, 2] }, r = "," }
empty = [ ]
nothing = {}

[ table . "x y" ] # spaces
k = 1
[[list]]
k = 1
[list.sub]
k = 2
[[list.deep]]
k = 3
[[list]]
[[list.deep]]
[[list.deep]]
k = 4
[list.deep.under]
k = 5
[table]
late = true
'''

EXPECTED: dict[Path, int] = {
    ("title",): 2,
    ("a",): 3,
    ("a", "b"): 3,
    ("a", "b", "c d"): 3,
    ("a", "b", "c d", "e.f"): 3,
    ('quoted "key"',): 4,
    ('é"q',): 5,
    ("multi",): 6,
    ("literal",): 10,
    ("array",): 13,
    ("array", 0): 14,
    ("array", 1): 14,
    ("array", 2): 14,
    ("array", 2, 0): 14,
    ("array", 2, 1): 15,
    ("array", 2, 1, "x"): 15,
    ("array", 2, 1, "y"): 15,
    ("array", 2, 1, "y", "z"): 15,
    ("array", 3): 16,
    ("array", 4): 17,
    ("date",): 19,
    ("inline",): 20,
    ("inline", "p"): 20,
    ("inline", "p", "q"): 20,
    ("inline", "p", "q", 0): 20,
    ("inline", "p", "q", 1): 20,
    ("inline", "r"): 20,
    ("empty",): 21,
    ("nothing",): 22,
    ("table",): 24,
    ("table", "x y"): 24,
    ("table", "x y", "k"): 25,
    ("list",): 26,
    ("list", 0): 26,
    ("list", 0, "k"): 27,
    ("list", 0, "sub"): 28,
    ("list", 0, "sub", "k"): 29,
    ("list", 0, "deep"): 30,
    ("list", 0, "deep", 0): 30,
    ("list", 0, "deep", 0, "k"): 31,
    ("list", 1): 32,
    ("list", 1, "deep"): 33,
    ("list", 1, "deep", 0): 33,
    ("list", 1, "deep", 1): 34,
    ("list", 1, "deep", 1, "k"): 35,
    ("list", 1, "deep", 1, "under"): 36,
    ("list", 1, "deep", 1, "under", "k"): 37,
    ("table", "late"): 39,
}


def all_paths(value: Any, path: Path = ()) -> set[Path]:
    """Every key and element of parsed TOML."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found: set[Path] = set()
    for part, item in items:
        here = (*path, part)
        found.add(here)
        found |= all_paths(item, here) if isinstance(item, dict | list) else set()
    return found


def test_nasty_toml() -> None:
    assert lines_of(NASTY) == EXPECTED


def test_it_finds_exactly_the_keys_that_the_parser_finds() -> None:
    assert set(lines_of(NASTY)) == all_paths(tomllib.loads(NASTY))


def test_windows_line_ends_count_once() -> None:
    assert lines_of("a = 1\r\n\r\nb = 2\r\n") == {("a",): 1, ("b",): 3}


TEXTS = st.text(st.sampled_from("ab[]{}=,.#\"'\\ \n"), max_size=12)
SCALARS = st.one_of(st.integers(), st.booleans(), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)


def to_toml(value: Any, gap: str) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case str():
            return quoted(value)
        case list():
            return f"[{gap}" + f",{gap}".join(to_toml(item, gap) for item in value) + f"{gap}]"
    pairs = (f"{quoted(key)} = {to_toml(item, gap)}" for key, item in value.items())
    return "{" + ", ".join(pairs) + "}"


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@given(st.dictionaries(TEXTS, VALUES, max_size=4), st.sampled_from(["", "\n", " # ]}=\n"]))
def test_any_document(document: dict[str, Any], gap: str) -> None:
    text = "".join(f"{quoted(key)} = {to_toml(value, gap)}\n" for key, value in document.items())
    assert set(lines_of(text)) == all_paths(tomllib.loads(text))


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment", "[a]"])
def test_little_text(text: str) -> None:
    assert set(lines_of(text)) == all_paths(tomllib.loads(text))
