"""A balancer that the tests of this folder share (testkit/site.py), and its certificate."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.certificates import Authority, Issued
from testkit.gateway import ECHO
from testkit.ports import free_port
from testkit.site import Program, Site
from testkit.trunkline import Trunkline
from testkit.upstream import Upstream


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="session")
def authority(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture(scope="session")
def stranger(folder: Path) -> Authority:
    """An authority that nobody believes."""
    return Authority(folder, "stranger")


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> Issued:
    """For the name site.example."""
    return authority.issue("site", ["site.example"])


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    nothing = Site([free_port()])
    with Trunkline(tmp_path_factory.mktemp("tls"), nothing.config, threads=2) as trunkline:
        yield Program(trunkline)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Answers with the request that it got."""
    with Upstream(ECHO) as server:
        yield server


@pytest.fixture(scope="session")
def trust(authority: Authority) -> ssl.SSLContext:
    return authority.client_context()
