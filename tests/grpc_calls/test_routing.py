"""Methods and services are paths: rules and balancing hold for each call, not for a channel."""

from collections import Counter
from collections.abc import Iterator

import pytest

from testkit.grpcclient import Channel
from testkit.grpcserver import H2, GrpcServer
from testkit.site import Program, Site

ALL = {"Echo", "Join", "Count"}


@pytest.fixture(scope="module")
def other() -> Iterator[GrpcServer]:
    with GrpcServer(name="other") as running:
        yield running


@pytest.fixture
def elsewhere(other: GrpcServer) -> Site:
    """Brings the pool of the other server."""
    return Site([other.port], pool=H2)


def taken_elsewhere(port: int) -> set[str]:
    """The methods whose calls the other server gets."""
    with Channel(port) as channel:
        calls = {
            "Echo": channel.one_to_one("Echo").with_call(b"")[1],
            "Join": channel.many_to_one("Join").with_call(iter([b"a", b"b"]))[1],
            "Count": channel.one_to_many("Count")(b"1"),
        }
        list(calls["Count"])
        names = {name: dict(call.trailing_metadata())["served-by"] for name, call in calls.items()}
    return {method for method, name in names.items() if name == "other"}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('path = "/kit.Calls/Echo"', {"Echo"}),
        ('path = "/kit.Calls/{method}"', ALL),
        ('prefix = "/kit.Calls"', ALL),
        ('prefix = "/kit"', set()),
        ("regex = '/kit\\.Calls/(Echo|Count)'\npriority = 1", {"Echo", "Count"}),
        ('methods = ["POST"]\npath = "/kit.Calls/Join"', {"Join"}),
        ('headers.content-type = { prefix = "application/grpc" }', ALL),
        ('headers.x-stage = "beta"', set()),
    ],
)
def test_rules(
    program: Program, server: GrpcServer, elsewhere: Site, rule: str, expected: set[str]
) -> None:
    site = Site([server.port], pool=H2)
    site.config += f'[[lb.http.{site.name}.routes]]\npool = "{elsewhere.name}"\n{rule}\n'
    program.serve(site, elsewhere)
    assert taken_elsewhere(site.port) == expected


def test_a_method_wins_over_its_service(
    program: Program, server: GrpcServer, elsewhere: Site
) -> None:
    site = Site([server.port], pool=H2, route='prefix = "/kit.Calls"')
    rule = 'path = "/kit.Calls/Count"'
    site.config += f'[[lb.http.{site.name}.routes]]\npool = "{elsewhere.name}"\n{rule}\n'
    program.serve(site, elsewhere)
    assert taken_elsewhere(site.port) == {"Count"}


def test_the_calls_of_one_channel_are_balanced(
    program: Program, server: GrpcServer, other: GrpcServer
) -> None:
    site = Site([server.port, other.port], pool=H2)
    program.serve(site)
    with Channel(site.port) as channel:
        assert Counter(channel.served_by() for _ in range(20)) == {"one": 10, "other": 10}


def test_a_call_may_become_one_of_another_method(program: Program, server: GrpcServer) -> None:
    site = Site([server.port], pool=H2, route='rewrite.path = "/kit.Calls/Echo"')
    program.serve(site)
    with Channel(site.port) as channel:
        assert channel.one_to_one("Renamed")(b"hello") == b"hello"
