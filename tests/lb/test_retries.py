"""Which failures are tried again, for which methods, where, how often, and within which budget."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from testkit.client import Response
from testkit.ports import free_port
from testkit.site import Program, Site
from testkit.upstream import (
    OK,
    WELL_BEHAVED,
    Connection,
    Script,
    Upstream,
    answer,
    forever,
    hang,
    read_head,
    read_request,
    reset,
    response,
    send,
)

BUSY = response(b"busy", "503 Service Unavailable")
STATUS = 'retry.on = ["status"]\nretry.statuses = [503]'
HEAD_TIME = 'timeouts.response_head = "150ms"'
FAULTS: dict[str, Script] = {
    "closes": [read_request],
    "resets": [read_request, reset],
    "hangs": [read_request, hang],
    "is busy": [forever(read_request, send(BUSY))],
}
StartPair = Callable[[Script], list[Upstream]]


@pytest.fixture
def pair() -> Iterator[StartPair]:
    """Starts a server with the given script and a good one."""
    with ExitStack() as stack:
        yield lambda bad: [
            stack.enter_context(Upstream(bad)),
            stack.enter_context(Upstream(WELL_BEHAVED)),
        ]


def serve(program: Program, upstreams: list[Upstream], route: str = "", pool: str = "") -> Site:
    """A site that asks the first server first."""
    pool = f'algorithm = "least_connections"\n{pool}'
    ports = [upstream.port for upstream in upstreams]
    site = Site(ports, route=route, pool=pool)
    program.serve(site)
    return site


def ask(site: Site, method: str = "GET", body: str = "") -> Response:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    with site.client() as client:
        raw = f"{method} / HTTP/1.1\r\nHost: a\r\n{length}\r\n{body}"
        return client.request(raw.encode(), method)


def statuses(site: Site, count: int = 4, method: str = "GET") -> set[int]:
    """Enough requests that both servers are chosen first at least once."""
    return {ask(site, method).status for _ in range(count)}


ON = {
    # fault, `on`, and what a client may see
    "connect by default": (None, "", {200}),
    "not connect": (None, 'retry.on = ["reset"]', {200, 502}),
    "close by default": ("closes", "", {200}),
    "not close": ("closes", 'retry.on = ["connect"]', {200, 502}),
    "reset by default": ("resets", "", {200}),
    "not reset": ("resets", 'retry.on = ["connect"]', {200, 502}),
    "not timeout by default": ("hangs", HEAD_TIME, {200, 504}),
    "timeout if asked": ("hangs", f'{HEAD_TIME}\nretry.on = ["timeout"]', {200}),
    "status if asked": ("is busy", STATUS, {200}),
    "not another status": ("is busy", 'retry.on = ["status"]\nretry.statuses = [500]', {200, 503}),
    "not status by default": ("is busy", "", {200, 503}),
    "no second try": ("closes", "retry.attempts = 1", {200, 502}),
}


@pytest.mark.parametrize("name", ON)
def test_what_is_tried_again(program: Program, pair: StartPair, name: str) -> None:
    fault, route, expected = ON[name]
    upstreams = pair(FAULTS[fault] if fault else WELL_BEHAVED)
    if fault is None:
        upstreams[0].die()
    site = serve(program, upstreams, route, "outlier.consecutive_failures = 100000")
    assert statuses(site) == expected


METHODS = {
    # method, default, and when listed
    "GET": 200,
    "HEAD": 200,
    "OPTIONS": 200,
    "PUT": 200,
    "DELETE": 200,
    "POST": 502,
    "PATCH": 502,
    "PROPFIND": 502,
}


@pytest.mark.parametrize("method", METHODS)
def test_which_methods(program: Program, pair: StartPair, method: str) -> None:
    """Once the bytes were sent, only the idempotent ones (RFC 9110 §9.2.2)."""
    site = serve(program, pair([read_request, reset]))
    assert max(statuses(site, 4, method)) == METHODS[method]


def test_methods_that_the_route_names(program: Program, pair: StartPair) -> None:
    site = serve(program, pair([read_request, reset]), 'retry.methods = ["POST"]')
    assert statuses(site, 4, "POST") == {200}
    assert statuses(site, 4, "GET") == {200, 502}


def test_a_failed_connect_is_safe_for_every_method(program: Program, pair: StartPair) -> None:
    upstreams = pair(WELL_BEHAVED)
    upstreams[0].die()
    site = serve(program, upstreams)
    assert [ask(site, "POST", "body").status for _ in range(4)] == [200] * 4
    assert upstreams[1].requests[0].endswith(b"\r\n\r\nbody")


def test_the_body_goes_again(program: Program, pair: StartPair) -> None:
    """A body that came with its head is sent to the next server, too."""
    upstreams = pair([read_request, reset])
    site = serve(program, upstreams)
    assert [ask(site, "PUT", "body").status for _ in range(4)] == [200] * 4
    assert all(request.endswith(b"\r\n\r\nbody") for request in upstreams[1].requests)


def test_a_body_that_is_used_up_does_not_go_again(program: Program, pair: StartPair) -> None:
    bad, good = pair([read_head, reset])
    site = serve(program, [bad])
    with site.client() as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        bad.wait_for_requests(1)
        assert client.read_response().status == 502
    assert good.requests == []
    assert "retries" not in program.log(site)[0]


def test_nothing_goes_again_after_the_response_began(program: Program, pair: StartPair) -> None:
    bad, good = pair([read_request, send(OK[:-1])])
    site = serve(program, [bad, good])
    entries = []
    for _ in range(4):
        with site.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            client.read_until_close()
    entries = program.log(site, 4)
    assert not any("retries" in entry for entry in entries)
    assert "response_truncated" in {entry.get("reason") for entry in entries}


def test_another_server_each_time(program: Program) -> None:
    """Three tries go to three servers; what the last one said is passed on."""
    with ExitStack() as stack:
        servers = [stack.enter_context(Upstream([read_request])) for _ in range(4)]
        site = serve(program, servers)
        answered = site.get()
        counts = sorted(len(each.requests) for each in servers)
    assert (answered.status, answered.body) == (502, b'{"error":"upstream_closed","status":502}')
    assert counts == [0, 1, 1, 1]
    assert program.log(site)[0]["retries"] == 2


def test_the_last_bad_status_is_passed_on(program: Program) -> None:
    """When the tries are used up the client gets the server's own answer."""
    with ExitStack() as stack:
        servers = [stack.enter_context(Upstream(answer(BUSY))) for _ in range(4)]
        site = serve(program, servers, STATUS)
        assert site.get().body == b"busy"
        assert sum(len(each.requests) for each in servers) == 3


def test_the_only_answer_is_passed_on(program: Program) -> None:
    """There is no other server to ask."""
    with Upstream(FAULTS["is busy"]) as busy:
        site = serve(program, [busy], STATUS)
        assert site.get().body == b"busy"
        assert len(busy.requests) == 1


def test_a_status_is_tried_again_as_often_as_configured(program: Program) -> None:
    """Not once for each connection that was kept."""
    together = threading.Barrier(8, timeout=10)

    async def all_here(_: Connection) -> None:
        await asyncio.to_thread(together.wait)

    script = [read_request, all_here, send(OK), *FAULTS["is busy"]]
    with Upstream(script) as one, Upstream(script) as other:
        site = serve(program, [one, other], f"{STATUS}\nretry.attempts = 2")
        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(lambda _: site.get().status, range(8))) == {200}
        assert site.get().body == b"busy"
        assert len(one.requests) + len(other.requests) == 8 + 2


def test_each_try_has_its_own_time(program: Program, pair: StartPair) -> None:
    """What the first server wasted is not taken from the second."""

    async def work(_: Connection) -> None:
        await asyncio.sleep(0.05)

    bad, good = pair([read_request, hang])
    good.script([forever(read_request, work, send(OK))])
    site = serve(program, [bad, good], f'{HEAD_TIME}\nretry.on = ["timeout"]')
    assert statuses(site) == {200}


def test_the_last_failure_is_told(program: Program) -> None:
    """When there is nobody else to ask, what went wrong is the answer."""
    with Upstream(FAULTS["hangs"]) as hanging:
        site = serve(program, [hanging], f'{HEAD_TIME}\nretry.on = ["timeout"]')
        answered = site.get()
    assert (answered.status, answered.body) == (504, b'{"error":"response_timeout","status":504}')


def test_the_method_that_is_sent_decides(program: Program, pair: StartPair) -> None:
    """A GET that becomes a POST is not repeated."""
    site = serve(program, pair([read_request, reset]), 'rewrite.method = "POST"')
    assert statuses(site) == {200, 502}


def test_the_budget(program: Program) -> None:
    """Without retries that are always allowed, one for five requests: an outage is no storm."""
    with ExitStack() as stack:
        servers = [stack.enter_context(Upstream([read_request])) for _ in range(3)]
        budget = "retry_budget.ratio = 0.2\nretry_budget.min_per_second = 0"
        site = serve(program, servers, pool=budget)
        answers = [site.get().status for _ in range(100)]
        tries = sum(len(each.requests) for each in servers)
    assert answers == [502] * 100
    assert 110 <= tries <= 120


def test_pauses_end_with_the_time_for_all(program: Program) -> None:
    servers = [free_port() for _ in range(4)]
    pauses = 'retry.backoff = "30s"\nretry.backoff_max = "30s"'
    times = f'timeouts.total = "100ms"\nretry.attempts = 4\n{pauses}'
    site = Site(servers, route=times)
    program.serve(site)
    assert site.get().status == 504
    (entry,) = program.log(site)
    assert entry["reason"] == "total_timeout"
    assert 100_000 <= entry["duration_us"] < 1_000_000


def test_backoff(program: Program) -> None:
    """Pauses are random up to a limit that doubles: of 20 requests some wait longer than one."""
    site = Site([free_port() for _ in range(3)], route='retry.backoff = "40ms"')
    program.serve(site)
    for _ in range(8):
        assert site.get().status == 502
    durations = [entry["duration_us"] for entry in program.log(site, 8)]
    assert 40_000 < max(durations) < 200_000
    assert len({duration // 1_000 for duration in durations}) > 3
