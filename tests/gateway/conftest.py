"""One gateway, and one upstream that tells what it got, for all tests of this folder."""

from collections.abc import Iterator

import pytest

from testkit.gateway import ECHO, Gateway
from testkit.ports import free_port
from testkit.trunkline import Trunkline, lb_config
from testkit.upstream import Upstream


@pytest.fixture(scope="session")
def trunkline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trunkline]:
    """Begins with a balancer that nobody asks."""
    config = lb_config(free_port(), [free_port()])
    with Trunkline(tmp_path_factory.mktemp("gateway"), config) as running:
        yield running


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream(ECHO) as server:
        yield server


@pytest.fixture(scope="session")
def gateway(trunkline: Trunkline, upstream: Upstream) -> Gateway:
    return Gateway(trunkline, upstream.port)
