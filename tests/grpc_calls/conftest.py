"""One trunkline and one grpcio server that the tests of this folder share (testkit/site.py)."""

from collections.abc import Iterator

import pytest

from testkit.certificates import Authority
from testkit.gateway import Gateway
from testkit.grpcclient import Channel
from testkit.grpcserver import H2, GrpcServer
from testkit.grpcweb import BINARY, TEXT, WebClient
from testkit.ports import free_port
from testkit.site import Program, Site
from testkit.trunkline import Trunkline

FORMS = {
    "h1-binary": (1, BINARY),
    "h1-text": (1, TEXT),
    "h2-binary": (2, BINARY),
    "h2-text": (2, TEXT),
}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def trunkline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trunkline]:
    nothing = Site([free_port()])
    with Trunkline(tmp_path_factory.mktemp("grpc"), nothing.config) as running:
        yield running


@pytest.fixture(scope="session")
def program(trunkline: Trunkline) -> Program:
    """The shared one as a balancer."""
    return Program(trunkline)


@pytest.fixture(scope="session")
def server(authority: Authority) -> Iterator[GrpcServer]:
    with GrpcServer(authority.issue("server", ["127.0.0.1"])) as running:
        yield running


@pytest.fixture(scope="session")
def gateway(trunkline: Trunkline, server: GrpcServer) -> Gateway:
    """The shared one as a gateway."""
    return Gateway(trunkline, server.port)


@pytest.fixture
def site(program: Program, server: GrpcServer) -> Site:
    """One route to the shared server, in the clear on both sides."""
    plain = Site([server.port], pool=H2)
    program.serve(plain)
    return plain


@pytest.fixture
def channel(site: Site) -> Iterator[Channel]:
    with Channel(site.port) as opened:
        yield opened


@pytest.fixture(params=list(FORMS))
def form(request: pytest.FixtureRequest) -> tuple[int, str]:
    """A version of HTTP and a content type of gRPC-Web."""
    return FORMS[request.param]


@pytest.fixture
def client(site: Site, form: tuple[int, str]) -> Iterator[WebClient]:
    """A browser's connection to the site."""
    with WebClient(site.port, *form) as opened:
        yield opened
