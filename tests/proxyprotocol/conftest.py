"""A balancer that the tests of this folder share (testkit/site.py)."""

from collections.abc import Iterator

import pytest

from testkit.gateway import ECHO
from testkit.ports import free_port
from testkit.site import Program, Site
from testkit.trunkline import Trunkline
from testkit.upstream import Upstream


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    nothing = Site([free_port()])
    with Trunkline(tmp_path_factory.mktemp("proxyprotocol"), nothing.config) as trunkline:
        yield Program(trunkline)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Answers with the request that it got."""
    with Upstream(ECHO) as server:
        yield server
