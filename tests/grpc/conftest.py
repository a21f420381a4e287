"""One trunkline and one grpcio server that the tests of this folder share (testkit/site.py)."""

from collections.abc import Iterator

import pytest

from testkit.certificates import Authority
from testkit.gateway import Gateway
from testkit.grpcclient import Channel
from testkit.grpcserver import H2, GrpcServer
from testkit.ports import free_port
from testkit.site import Program, Site
from testkit.trunkline import Trunkline


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
