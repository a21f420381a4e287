"""A balancer that the tests of this folder share (testkit/site.py), with servers of both versions.

It has one worker, so that connections to servers and lines of the log are in one place.
"""

from collections.abc import Callable, Iterator

import pytest

from testkit.http2_client import Http2Client
from testkit.http2_upstream import Http2Upstream
from testkit.ports import free_port
from testkit.site import Program, Site
from testkit.trunkline import Trunkline
from testkit.upstream import Upstream

Serve = Callable[..., Site]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    nothing = Site([free_port()])
    with Trunkline(tmp_path_factory.mktemp("http2"), nothing.config) as trunkline:
        yield Program(trunkline)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A server of HTTP/1.1."""
    with Upstream() as server:
        yield server


@pytest.fixture
def upstream2() -> Iterator[Http2Upstream]:
    """A server of HTTP/2."""
    with Http2Upstream() as server:
        yield server


@pytest.fixture
def serve(program: Program, upstream: Upstream) -> Serve:
    """Makes a site before the server of HTTP/1.1; reasons are told in a header."""

    def served(listener: str = "", route: str = "", pool: str = "") -> Site:
        listener = f"reason_header = true\n{listener}"
        site = Site([upstream.port], listener=listener, route=route, pool=pool)
        program.serve(site)
        return site

    return served


@pytest.fixture
def serve2(program: Program, upstream2: Http2Upstream) -> Serve:
    """The same before the server of HTTP/2."""

    def served(listener: str = "", route: str = "", pool: str = "") -> Site:
        listener, pool = f"reason_header = true\n{listener}", f'protocol = "h2"\n{pool}'
        site = Site([upstream2.port], listener=listener, route=route, pool=pool)
        program.serve(site)
        return site

    return served


@pytest.fixture
def site(serve: Serve) -> Site:
    return serve()


@pytest.fixture
def site2(serve2: Serve) -> Site:
    return serve2()


@pytest.fixture
def client(site: Site) -> Iterator[Http2Client]:
    """A connection to the site before HTTP/1.1."""
    with Http2Client(site.port) as connection:
        yield connection


@pytest.fixture
def client2(site2: Site) -> Iterator[Http2Client]:
    """A connection to the site before HTTP/2."""
    with Http2Client(site2.port) as connection:
        yield connection
