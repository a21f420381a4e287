"""What `help()` says is there, and is what the stubs say: one text for people, one for editors."""

import ast
import inspect
from pathlib import Path

import pytest

import trunkline_native as native

STUB = Path(native.__file__).with_name("_native.pyi")


def described() -> dict[str, str | None]:
    """Each public name of the stub, and each public member, with its text."""
    found: dict[str, str | None] = {}
    for item in ast.parse(STUB.read_text()).body:
        if isinstance(item, ast.FunctionDef | ast.ClassDef):
            found[item.name] = ast.get_docstring(item)
        if isinstance(item, ast.ClassDef):
            members = [member for member in item.body if isinstance(member, ast.FunctionDef)]
            public = [member for member in members if not member.name.startswith("_")]
            found |= {f"{item.name}.{member.name}": ast.get_docstring(member) for member in public}
    return found


DESCRIBED = described()


def test_the_stub_knows_every_public_name() -> None:
    assert set(native.__all__) <= DESCRIBED.keys()


@pytest.mark.parametrize("name", DESCRIBED)
def test_documentation(name: str) -> None:
    holder, _, member = name.partition(".")
    thing = getattr(native, holder)
    text = inspect.getdoc(getattr(thing, member) if member else thing)
    assert text
    assert text == DESCRIBED[name]


def test_a_shell_shows_something_readable() -> None:
    detector = native.OutlierDetector(2, consecutive_failures=1)
    ejection = detector.record(0, ok=False, now=1.0)
    shown = 'Ejection(until=31.0, reason="consecutive_failures")'
    assert repr(ejection) == shown
    assert repr(detector.report(0, now=1.0)).startswith(f"ServerReport(ejection={shown}, ")
    assert repr(native.KetamaRing(["a", "b"])) == "<KetamaRing of 2 nodes>"
    assert repr(native.BoundedLoadRing(["a"])) == "<BoundedLoadRing of 1 nodes>"
    counts = native.CircuitBreaker(consecutive_failures=1).counts()
    assert repr(counts).startswith("BreakerCounts(calls=0, failures=0, ")


def test_build_info() -> None:
    info = native.build_info()
    assert info.keys() == {"version", "profile", "target", "rustc", "commit"}
    assert all(info.values())
    assert info["profile"] in ("release", "debug")
    assert info["target"].startswith(("x86_64-", "aarch64-"))
