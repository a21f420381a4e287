"""What a new configuration takes over from the one before; what a refused one leaves as it is."""

import socket
from collections.abc import Iterator

import pytest

from testkit.site import Program, Site, server
from testkit.upstream import OK, Upstream, forever, hang, read_request, response, send
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PATIENT = 'queue.timeout = "5s"'


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


def waiting(program: Program, site: Site) -> int:
    """Requests in the queue of the site's pool."""
    pools = program.trunkline.status()["pools"]
    return next(int(pool["waiting"]) for pool in pools if pool["name"] == f"lb.{site.name}")


def test_idle_connections_live_on_under_a_kept_client(program: Program, upstream: Upstream) -> None:
    """The pool has other settings; nobody has asked for it since."""
    site = Site([upstream.port])
    program.serve(site)
    with site.client() as client:
        assert client.request(GET).status == 200
        site.change([upstream.port], pool='connect_timeout = "3s"')
        program.serve(site)
        assert client.request(GET).status == 200
    assert upstream.connection_count == 1


def test_who_waits_hears_of_more_room(program: Program, upstream: Upstream) -> None:
    upstream.script([read_request, hang], [forever(read_request, send(OK))])
    site = Site([server(upstream.port, max_connections=1)], pool=PATIENT)
    program.serve(site)
    with site.client() as first, site.client() as second:
        first.send(GET)
        upstream.wait_for_requests(1)
        second.send(GET)
        wait_until(lambda: waiting(program, site) == 1, timeout_s=5, what="a request to wait")
        site.change([server(upstream.port, max_connections=2)], pool=PATIENT)
        program.serve(site)
        assert second.read_response().status == 200


@pytest.fixture
def taken() -> Iterator[int]:
    """A port where somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port: int = other.getsockname()[1]
        yield port


def test_a_refused_plan_changes_no_server(program: Program, upstream: Upstream, taken: int) -> None:
    """All or nothing, although the address that is taken is found out last."""
    site, blocked = Site([server(upstream.port, weight=2)]), Site([upstream.port])
    program.serve(site)
    blocked.port = taken
    blocked.change([upstream.port])
    site.change([server(upstream.port, weight=7)])
    with pytest.raises(AssertionError, match="in use"):
        program.serve(site, blocked)
    assert program.servers(site)[0]["weight"] == 2


def test_a_refused_plan_ends_no_drain(program: Program, upstream: Upstream, taken: int) -> None:
    site, blocked = Site([upstream.port]), Site([upstream.port])
    program.serve(site)
    program.change_server(site, upstream.port, draining=True)
    blocked.port = taken
    blocked.change([upstream.port])
    with pytest.raises(AssertionError, match="in use"):
        program.serve(site, blocked)
    assert program.servers(site)[0]["state"] == "draining"


def test_a_refused_plan_makes_no_server_healthy(program: Program, taken: int) -> None:
    """What its checks have found holds as long as they are in the configuration."""
    with Upstream([read_request, send(response(b"", "500 Oops"))]) as upstream:
        checks = 'health = { kind = "http", interval = "20ms", fall = 1, rise = 100 }'
        site, blocked = Site([upstream.port], pool=checks), Site([upstream.port])
        program.serve(site)
        wait_for_state(program, site, "unhealthy")
        # Nobody asks the server any more, so that no check tells anew that it is down.
        upstream.script([hang])
        blocked.port = taken
        blocked.change([upstream.port])
        site.change([upstream.port])
        with pytest.raises(AssertionError, match="in use"):
            program.serve(site, blocked)
        assert program.servers(site)[0]["state"] == "unhealthy"
        program.serve(site)
        assert program.servers(site)[0]["state"] == "eligible"


def wait_for_state(program: Program, site: Site, state: str) -> None:
    wait_until(
        lambda: program.servers(site)[0]["state"] == state, timeout_s=5, what=f"it to be {state}"
    )


def test_idle_connections_of_a_changed_pool_end(program: Program, upstream: Upstream) -> None:
    """Though nobody has asked for it since."""
    site = Site([upstream.port], pool='keep_alive.idle_timeout = "300ms"')
    program.serve(site)
    with site.client() as client:
        assert client.request(GET).status == 200
        site.change([upstream.port], pool='keep_alive.idle_timeout = "200ms"')
        program.serve(site)
        wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="its connection to end")
