"""A running trunkline in front of one upstream, for the tests of the control plane."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from testkit.ports import free_port
from testkit.trunkline import Trunkline, lb_config
from testkit.upstream import Upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture
def port() -> int:
    """Where the balancer listens."""
    return free_port()


@pytest.fixture
def running(tmp_path: Path, upstream: Upstream, port: int) -> Iterator[Trunkline]:
    with Trunkline(tmp_path, lb_config(port, [upstream.port])) as trunkline:
        yield trunkline


@pytest.fixture
def get(port: int) -> Iterator[Callable[[str], httpx.Response]]:
    """GET of a path from the balancer, on connections that are kept."""
    base = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base, trust_env=False, timeout=10) as client:
        yield client.get
