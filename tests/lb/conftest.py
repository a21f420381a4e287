"""A balancer that the tests of this folder share (testkit/site.py says why)."""

from collections.abc import Iterator

import pytest

from testkit.ports import free_port
from testkit.site import Program, Site
from testkit.trunkline import Trunkline


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    nothing = Site([free_port()])
    with Trunkline(tmp_path_factory.mktemp("balancer"), nothing.config) as trunkline:
        yield Program(trunkline)
