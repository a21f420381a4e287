"""The repository's own rules that no linter knows."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import trunkline

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "trunkline"
# Packages at the root that are not part of the product.
NOT_COMPONENTS = {"loadtests", "tests"}


def components() -> list[str]:
    packages = (path.parent.name for path in ROOT.glob("*/__init__.py"))
    return sorted(set(packages) - NOT_COMPONENTS)


def manifest(path: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / path).read_text())


@pytest.mark.parametrize("component", components())
def test_each_component_is_linked_into_the_package(component: str) -> None:
    link = PACKAGE / component
    assert link.is_symlink()
    assert link.readlink() == Path("../..") / component


def test_each_link_leads_to_a_component() -> None:
    links = sorted(path.name for path in PACKAGE.iterdir() if path.is_symlink())
    assert links == components()


def test_one_version_everywhere() -> None:
    root, native = manifest("pyproject.toml")["project"], manifest("native/pyproject.toml")
    workspace = manifest("native/Cargo.toml")["workspace"]["package"]
    assert root["version"] == trunkline.__version__
    assert native["project"]["version"] == trunkline.__version__
    assert workspace["version"] == trunkline.__version__
    assert f"trunkline-native=={trunkline.__version__}" in root["dependencies"]


def test_test_folders_never_shadow_a_module() -> None:
    """tests/ is on sys.path for `testkit`: a package tests/http would hide the standard http."""
    packages = {path.parent.name for path in (ROOT / "tests").glob("*/__init__.py")}
    assert packages == {"testkit"}


def test_each_crate_has_its_line() -> None:
    crates = {path.parent.name for path in (ROOT / "native/crates").glob("*/Cargo.toml")}
    described = re.findall(r"^\| `(\w+)` \|", (ROOT / "native/README.md").read_text(), re.M)
    assert set(described) == crates


def python_dependencies() -> set[str]:
    root = manifest("pyproject.toml")
    requirements = list(root["project"]["dependencies"])
    for group in root["dependency-groups"].values():
        requirements += [entry for entry in group if isinstance(entry, str)]
    return {re.match(r"[\w-]+", requirement)[0] for requirement in requirements}  # type: ignore[index]


def rust_dependencies() -> set[str]:
    table = manifest("native/Cargo.toml")["workspace"]["dependencies"]
    return {name for name in table if not name.startswith("trunkline-")}


@pytest.mark.parametrize("dependency", sorted(python_dependencies() | rust_dependencies()))
def test_each_dependency_has_its_line(dependency: str) -> None:
    assert f"`{dependency}`" in (ROOT / "docs/dependencies.md").read_text()
