"""One running proxy for all tests of this folder, with a listener for each way to be configured.

Each test scripts the server behind it anew: it always has the same port, and closing it resets the
connections that the proxy kept, so no test inherits one.
"""

from collections.abc import Iterator

import pytest

from testkit.client import Client
from testkit.ports import free_port
from testkit.trunkline import Trunkline
from testkit.upstream import Upstream

IMPATIENT = '{ body_idle = "100ms", response_head = "100ms" }'
# Name of the listener → its keys besides `listen` and `pool`.
LISTENERS = {
    "plain": "reason_header = true",
    "trusting": 'forwarding = { trusted = ["127.0.0.0/8"], via = "edge", request_id = true }',
    "standard": 'forwarding = { style = "forwarded" }',
    "trusting_standard": 'forwarding = { style = "forwarded", trusted = ["127.0.0.0/8"] }',
    "silent": 'forwarding = { style = "off" }',
    "brief": "limits.requests_per_connection = 2",
    "tunnels": 'reason_header = true\nroutes = [{ methods = ["CONNECT"], pool = "app" }]',
    "once": 'reason_header = true\nroutes = [{ pool = "app", retry.attempts = 1 }]',
    "impatient": f'routes = [{{ pool = "app", timeouts = {IMPATIENT} }}]',
    "strict": 'routes = [{ pool = "app", rewrite.headers.remove = ["X-Admin"] }]',
    "as_get": 'routes = [{ pool = "app", rewrite.method = "GET" }]',
    "as_post": 'routes = [{ pool = "app", rewrite.method = "POST" }]',
}


def _listener(name: str, port: int, keys: str) -> str:
    return f'[lb.http.{name}]\nlisten = "127.0.0.1:{port}"\npool = "app"\n{keys}\n'


@pytest.fixture(scope="session")
def upstream_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def ports() -> dict[str, int]:
    """Where each listener listens."""
    return {name: free_port() for name in LISTENERS}


@pytest.fixture(scope="session")
def proxy(
    tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int], upstream_port: int
) -> Iterator[Trunkline]:
    listeners = [_listener(name, ports[name], keys) for name, keys in LISTENERS.items()]
    pool = f'[lb.pools.app]\nservers = ["127.0.0.1:{upstream_port}"]\n'
    with Trunkline(tmp_path_factory.mktemp("proxy"), "".join(listeners) + pool) as running:
        yield running


@pytest.fixture
def upstream(upstream_port: int, proxy: Trunkline) -> Iterator[Upstream]:
    """The server behind the proxy; well-behaved until it is given a script."""
    with Upstream(port=upstream_port) as server:
        yield server


@pytest.fixture
def client(ports: dict[str, int], upstream: Upstream) -> Iterator[Client]:
    """A connection to the plain listener."""
    with Client(ports["plain"]) as connection:
        yield connection
