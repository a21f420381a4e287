"""Active checks: what they ask, what is good, rise and fall, and who gets requests meanwhile."""

from collections.abc import Iterator
from typing import Any

import pytest

from testkit.site import Program, Site
from testkit.upstream import (
    OK,
    Connection,
    Script,
    Upstream,
    answer,
    forever,
    half_close,
    hang,
    read_request,
    response,
    send,
)
from testkit.waiting import wait_until

TIMES = 'interval = "30ms", timeout = "150ms"'
HTTP = f'health = {{ kind = "http", path = "/check", rise = 2, fall = 2, {TIMES} }}'
TCP = f'health = {{ kind = "tcp", rise = 2, fall = 2, {TIMES} }}'
ONE_TRY = "retry.attempts = 1"
GOOD = answer(OK)
BAD = answer(response(b"", "500 Oops"))


def with_settings(more: str) -> str:
    """More settings of the check."""
    return HTTP.replace(" }", f", {more} }}") if more else HTTP


def checked(check: Script) -> Script:
    """Answers requests well, and a check with these steps once it was read."""

    async def step(connection: Connection) -> None:
        await read_request(connection)
        steps = check if connection.requests[-1].startswith(b"GET /check") else [send(OK)]
        for inner in steps:
            await inner(connection)

    return [forever(step)]


@pytest.fixture
def pair(program: Program) -> Iterator[tuple[Upstream, Upstream]]:
    """Two servers; nobody checks them any more when they are closed."""
    with Upstream() as one, Upstream() as another:
        yield one, another
        program.serve()


@pytest.fixture
def upstream(pair: tuple[Upstream, Upstream]) -> Upstream:
    return pair[0]


@pytest.fixture
def other(pair: tuple[Upstream, Upstream]) -> Upstream:
    return pair[1]


def serve(program: Program, *upstreams: Upstream, pool: str = HTTP) -> Site:
    site = Site([upstream.port for upstream in upstreams], route=ONE_TRY, pool=pool)
    program.serve(site)
    return site


def first(program: Program, site: Site) -> dict[str, Any]:
    return program.servers(site)[0]


def wait_for(program: Program, site: Site, **told: object) -> dict[str, Any]:
    """The first server's status, once it tells this."""
    wait_until(
        lambda: told.items() <= first(program, site).items(), timeout_s=5, what=f"status {told}"
    )
    return first(program, site)


def requests_of(upstream: Upstream) -> int:
    """Requests that are no checks."""
    return sum(not request.startswith(b"GET /check") for request in upstream.requests)


@pytest.mark.parametrize(("pool", "good"), [(HTTP, "status 200"), (TCP, "connected")])
def test_a_server_that_dies_and_returns(
    program: Program, upstream: Upstream, other: Upstream, pool: str, good: str
) -> None:
    site = serve(program, upstream, other, pool=pool)
    name = f"127.0.0.1:{upstream.port}"
    wait_for(program, site, state="eligible", check=good)
    assert program.trunkline.metric("trunkline_server_up", server=name) == 1

    upstream.die()
    told = wait_for(program, site, state="unhealthy", healthy=False)
    assert told["check"] == "connect: Connection refused (os error 111)"
    assert program.trunkline.metric("trunkline_server_up", server=name) == 0
    before = requests_of(upstream)
    assert [site.get().status for _ in range(10)] == [200] * 10
    assert requests_of(upstream) == before

    upstream.come_back()
    wait_for(program, site, state="eligible", healthy=True, check=good)
    assert [site.get().status for _ in range(10)] == [200] * 10
    assert requests_of(upstream) > before
    assert program.failures(site) == 0


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nalive\r\n0\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
NEVER_ENDING = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nal"
WITH_BODY = 'body_contains = "alive"'
WRONG: dict[str, tuple[Script, str, str]] = {
    # what the server does, more settings, and what the status says of it
    "status": (BAD[1:], "", "status 500"),
    "not found": ([send(response(b"", "404 No"))], "", "status 404"),
    "not asked for": ([send(response(b"", "302 Go"))], "statuses = [200]", "status 302"),
    "body": ([send(response(b"dying"))], WITH_BODY, 'status 200, body without "alive"'),
    "cut body": ([send(NEVER_ENDING), half_close, hang], WITH_BODY, 'body without "alive"'),
    "garbage": ([send(b"SSH-2.0-x\r\n\r\n"), hang], "", "bad response: bad_status_line"),
    "half a head": ([send(b"HTTP/1.1 20"), half_close, hang], "", "closed before the end of the"),
    "silence": ([hang], "", "no answer within 150 ms"),
    "hanging body": ([send(NEVER_ENDING), hang], WITH_BODY, "no answer within 150 ms"),
    "early hints of an error": ([send(EARLY + response(b"", "500 Oops"))], "", "status 500"),
    "early hints alone": ([send(EARLY), hang], "", "no answer within 150 ms"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_answers(program: Program, upstream: Upstream, other: Upstream, case: str) -> None:
    """The server is down with the reason, and gets no request."""
    script, more, detail = WRONG[case]
    upstream.script(checked(script))
    other.script(checked([send(response(b"alive"))]))
    site = serve(program, upstream, other, pool=with_settings(more))
    told = wait_for(program, site, state="unhealthy")
    assert detail in told["check"]
    assert [site.get().status for _ in range(6)] == [200] * 6
    assert requests_of(upstream) == 0


RIGHT: dict[str, tuple[Script, str, str]] = {
    "redirect by default": ([send(response(b"", "302 Go"))], "", "status 302"),
    "status asked for": ([send(response(b"", "404 No"))], 'statuses = [200, "404-410"]', "404"),
    "body": ([send(response(b"I am alive."))], WITH_BODY, "status 200"),
    "chunked body": ([send(CHUNKED)], WITH_BODY, "status 200"),
    "body unread": ([send(NEVER_ENDING), hang], "", "status 200"),
    "after an interim one": ([send(EARLY + response(b"alive"))], WITH_BODY, "status 200"),
    "some time after it": ([send(EARLY), send(response())], "statuses = [200]", "status 200"),
}


@pytest.mark.parametrize("case", RIGHT)
def test_right_answers(program: Program, upstream: Upstream, case: str) -> None:
    """Bring a server up that was down."""
    script, more, detail = RIGHT[case]
    upstream.script(checked(BAD[1:]))
    site = serve(program, upstream, pool=with_settings(more))
    wait_for(program, site, state="unhealthy")
    upstream.script(checked(script))
    assert detail in wait_for(program, site, state="eligible")["check"]
    assert site.get().status == 200


def test_what_is_asked(program: Program, upstream: Upstream) -> None:
    site = serve(program, upstream, pool=with_settings('host = "check.example"'))
    wait_for(program, site, check="status 200")
    assert upstream.requests[0] == (
        b"GET /check HTTP/1.1\r\nHost: check.example\r\nUser-Agent: trunkline-health\r\n"
        b"Connection: close\r\n\r\n"
    )


def counting(rise: int, fall: int) -> str:
    return f'health = {{ kind = "http", rise = {rise}, fall = {fall}, {TIMES} }}'


def test_fall_counts_in_a_row(program: Program, upstream: Upstream) -> None:
    """Two bad ones and a good one, again and again, leave it up; the third in a row does not."""
    upstream.script(*[BAD, BAD, GOOD] * 4, BAD)
    site = serve(program, upstream, pool=counting(rise=100, fall=3))
    upstream.wait_for_requests(12)
    assert first(program, site)["healthy"]
    wait_for(program, site, state="unhealthy", check="status 500")
    assert len(upstream.requests) >= 15


def test_rise_counts_in_a_row(program: Program, upstream: Upstream) -> None:
    """Two good ones and a bad one, again and again, leave it down."""
    upstream.script(*[BAD, GOOD, GOOD] * 3, GOOD)
    site = serve(program, upstream, pool=counting(rise=3, fall=1))
    wait_for(program, site, state="unhealthy")
    wait_for(program, site, state="eligible", check="status 200")
    assert len(upstream.requests) >= 10


def test_hanging_checks_do_not_pile_up(program: Program, upstream: Upstream) -> None:
    upstream.script([read_request, hang])
    serve(program, upstream)
    upstream.wait_for_requests(6)
    assert upstream.open_count <= 1


def test_no_healthy_server(program: Program, upstream: Upstream) -> None:
    upstream.script(checked(BAD[1:]))
    site = serve(program, upstream)
    wait_for(program, site, state="unhealthy")
    refused = site.get()
    assert (refused.status, refused.body) == (503, b'{"error":"no_server","status":503}')
    assert [(entry["status"], entry["reason"]) for entry in program.log(site)] == [
        (503, "no_server")
    ]
    assert program.failures(site) == program.failures(site, reason="no_server") == 1
    assert requests_of(upstream) == 0


def test_health_survives_reloads(program: Program, upstream: Upstream, other: Upstream) -> None:
    """Of something else, and of its own pool, as long as it is the same server."""
    upstream.script(checked(BAD[1:]))
    site = serve(program, upstream)
    wait_for(program, site, state="unhealthy")
    program.serve(site, Site([other.port]))
    assert first(program, site)["state"] == "unhealthy"
    site.change([upstream.port, other.port], pool=HTTP, route=ONE_TRY)
    program.serve(site)
    assert [server["state"] for server in program.servers(site)] == ["unhealthy", "eligible"]
    assert [site.get().status for _ in range(4)] == [200] * 4
    assert requests_of(upstream) == 0


def test_reloads_do_not_begin_the_count_anew(program: Program, upstream: Upstream) -> None:
    """A reload after each check: three bad ones are three in a row nevertheless."""
    upstream.script(BAD)
    site = serve(program, upstream, pool=counting(rise=1, fall=3))
    seen = 0
    while first(program, site)["healthy"]:
        upstream.wait_for_requests(seen + 1)
        seen = len(upstream.requests)
        program.serve(site, Site([upstream.port]))
    assert seen <= 6


def test_without_checks_it_is_up(program: Program, upstream: Upstream) -> None:
    """What checks once said counts no more when they are taken out of the configuration."""
    upstream.script(checked(BAD[1:]))
    site = serve(program, upstream)
    wait_for(program, site, state="unhealthy")
    site.change([upstream.port], route=ONE_TRY)
    program.serve(site)
    assert first(program, site)["state"] == "eligible"
    assert site.get().status == 200


def test_checks_of_a_server_that_is_gone_end(
    program: Program, upstream: Upstream, other: Upstream
) -> None:
    site = serve(program, upstream, other)
    upstream.wait_for_requests(1)
    site.change([other.port], pool=HTTP)
    program.serve(site)
    seen = len(other.requests)
    other.wait_for_requests(seen + 2)
    last = len(upstream.requests)
    other.wait_for_requests(seen + 8)
    assert len(upstream.requests) == last
