"""A listener with as many connections as it may have still hears of its end and of a new limit."""

import select
from collections.abc import Iterator

import pytest

from testkit.client import Client
from testkit.ports import is_listening
from testkit.site import Program, Site
from testkit.upstream import Upstream
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
ONE = "limits.connections = 1"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture
def full(program: Program, upstream: Upstream) -> Iterator[Site]:
    """A site whose only place is taken."""
    site = Site([upstream.port], listener=ONE)
    program.serve(site)
    with site.client() as inside:
        assert inside.request(GET).status == 200
        yield site


def waits(client: Client) -> bool:
    """Asks; whether no answer comes."""
    client.send(GET)
    return not select.select([client.socket], [], [], 0.1)[0]


def test_it_can_be_removed_and_come_back(program: Program, full: Site) -> None:
    """Its address is free again although somebody waited for a place."""
    with full.client() as client:
        assert waits(client)
        program.serve()
        wait_until(lambda: not is_listening(full.port), timeout_s=5, what="the listener's end")
    program.serve(full)
    assert is_listening(full.port)


def test_a_higher_limit_lets_those_in_who_wait(
    program: Program, upstream: Upstream, full: Site
) -> None:
    with full.client() as client:
        assert waits(client)
        full.change([upstream.port], listener="limits.connections = 2")
        program.serve(full)
        assert client.read_response().status == 200
        with full.client() as next_one:
            assert waits(next_one)


def test_a_lower_limit_counts_those_inside(
    program: Program, upstream: Upstream, full: Site
) -> None:
    """Nobody is turned out, and nobody else comes in before there is room."""
    full.change([upstream.port], listener="limits.connections = 2")
    program.serve(full)
    with full.client() as second, full.client() as third:
        assert second.request(GET).status == 200
        full.change([upstream.port], listener=ONE)
        program.serve(full)
        assert waits(third)
        assert second.request(GET).status == 200
        assert waits(third)
