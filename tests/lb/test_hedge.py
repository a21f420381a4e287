"""Hedging: a second try beside one that is slow; the first answer wins."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from testkit.gate import Gate
from testkit.http2_upstream import Http2Upstream, answer_with, silent
from testkit.site import Program, Site, server
from testkit.upstream import (
    Connection,
    Script,
    Step,
    Upstream,
    forever,
    hang,
    read_request,
    reset,
    response,
    send,
)
from testkit.waiting import wait_until

AFTER_S = 0.05
HEDGED = 'hedge = { after = "50ms" }'
PATIENT = f'{HEDGED}\ntimeouts.response_head = "300ms"'
BUDGET = "retry_budget = { ratio = 0.0, min_per_second = 1000 }"
GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


def answering(name: bytes) -> Script:
    return [forever(read_request, send(response(name)))]


SLOW: Script = [read_request, hang]
WORK_S = 0.4


async def work(_: Connection) -> None:
    await asyncio.sleep(WORK_S)


@pytest.fixture
def upstreams() -> Iterator[list[Upstream]]:
    """Three; the first one never answers."""
    with ExitStack() as stack:
        scripts = [SLOW, answering(b"1"), answering(b"2")]
        yield [stack.enter_context(Upstream(script)) for script in scripts]


def serve(
    program: Program,
    *upstreams: Upstream,
    route: str = HEDGED,
    pool: str = BUDGET,
    attempts: int = 1,
) -> Site:
    """A site whose requests go to the first server: the others are its backups."""
    servers = [server(upstream.port, priority=number) for number, upstream in enumerate(upstreams)]
    site = Site(servers, route=f"retry.attempts = {attempts}\n{route}", pool=pool)
    program.serve(site)
    return site


def hedges(program: Program, site: Site) -> dict[str, int]:
    """What became of the further tries, as the status tells."""
    routes = program.trunkline.status()["routes"]
    (route,) = (route for route in routes if route["name"] == f"lb.{site.name}.all")
    counts: dict[str, int] = route["hedges"]
    return counts


def is_idle(program: Program, site: Site) -> bool:
    return [told["active"] for told in program.servers(site)] == [0] * len(program.servers(site))


def test_the_first_answer_wins(program: Program, upstreams: list[Upstream]) -> None:
    slow, quick, _ = upstreams
    site = serve(program, slow, quick)
    for _ in range(5):
        assert site.get().body == b"1"
    assert (len(slow.requests), len(quick.requests)) == (5, 5)
    assert slow.requests == quick.requests
    entries = program.log(site, 5)
    assert {entry["server"] for entry in entries} == {f"127.0.0.1:{quick.port}"}
    assert {entry["retries"] for entry in entries} == {1}
    assert all(AFTER_S * 1e6 <= entry["duration_us"] < 2e6 for entry in entries)
    assert hedges(program, site) == {"won": 5, "lost": 0}
    counted = program.trunkline.metric(
        "trunkline_hedges_total", route=f"lb.{site.name}.all", outcome="won"
    )
    assert counted == 5
    assert program.failures(site) == 0


ERROR = response(b"", "503 Busy")


@pytest.mark.parametrize("status", ["503 Busy", "429 Too Many"])
def test_a_fast_error_is_no_answer(
    program: Program, upstreams: list[Upstream], status: str
) -> None:
    """While the other may still do better."""
    gate = Gate(response(b"0"))
    slow, failing, _ = upstreams
    slow.script(gate.script)
    failing.script([forever(read_request, send(response(b"", status)))])
    listed = 'retry.on = ["status"]\nretry.statuses = [429]'
    site = serve(program, slow, failing, route=f"{HEDGED}\n{listed}")
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(site.get)
        failing.wait_for_requests(1)
        wait_until(
            lambda: program.servers(site)[1]["failures"] == 1, timeout_s=5, what="its failure"
        )
        gate.open()
        assert asked.result(5).body == b"0"
    assert hedges(program, site) == {"won": 0, "lost": 1}


def test_a_fast_error_over_http2_is_no_answer(program: Program) -> None:
    with ExitStack() as stack:
        scripts = [silent, answer_with(status=500), answer_with(b"2")]
        upstreams = [stack.enter_context(Http2Upstream(script)) for script in scripts]
        servers = [server(each.port, priority=number) for number, each in enumerate(upstreams)]
        route = 'retry.attempts = 1\nhedge = { after = "50ms", attempts = 3 }'
        site = Site(servers, route=route, pool=f'protocol = "h2"\n{BUDGET}')
        program.serve(site)
        assert site.get().body == b"2"
        assert len(upstreams[1].requests) == 1


def test_the_last_error_is_the_answer(program: Program, upstreams: list[Upstream]) -> None:
    slow, failing, _ = upstreams
    slow.script([read_request, until(failing, 1), reset])
    gate = Gate(ERROR)
    failing.script(gate.script)
    site = serve(program, slow, failing)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(site.get)
        wait_until(
            lambda: program.servers(site)[0]["failures"] == 1, timeout_s=5, what="the first to fail"
        )
        gate.open()
        assert asked.result(5).status == 503


def until(upstream: Upstream, count: int) -> Step:
    """A step that waits until another server has so many requests."""

    async def step(_: Connection) -> None:
        await asyncio.to_thread(upstream.wait_for_requests, count)

    return step


def test_a_loser_never_looks_quicker(program: Program, upstreams: list[Upstream]) -> None:
    """That it has taken so long at least says nothing about a server known to be slower."""
    slow, quick, _ = upstreams
    slow.script([forever(read_request, work, send(response(b"0")))])
    quick.die()
    site = serve(program, slow, quick)
    assert site.get().body == b"0"
    before_ms = program.servers(site)[0]["ewma_ms"]
    assert before_ms >= WORK_S * 1e3
    quick.come_back()
    for _ in range(10):
        assert site.get().body == b"1"
    assert program.servers(site)[0]["ewma_ms"] == before_ms


def test_the_loser_is_given_up(program: Program, upstreams: list[Upstream]) -> None:
    """Its connection is closed, and it counts as slow, not as failed."""
    slow, quick, _ = upstreams
    site = serve(program, slow, quick)
    assert site.get().body == b"1"
    wait_until(lambda: slow.open_count == 0, timeout_s=5, what="the end of its connection")
    told_slow, told_quick = program.servers(site)
    assert (told_slow["active"], told_slow["failures"], told_slow["ejection"]) == (0, 0, None)
    assert told_slow["ewma_ms"] >= AFTER_S * 1e3 > told_quick["ewma_ms"]


def test_who_is_quick_is_not_hedged(program: Program, upstreams: list[Upstream]) -> None:
    _, quick, other = upstreams
    site = serve(program, quick, other)
    with site.client() as client:
        assert [client.request(GET).body for _ in range(50)] == [b"1"] * 50
    assert other.requests == []
    assert quick.connection_count == 1
    assert hedges(program, site) == {"won": 0, "lost": 0}


def test_the_first_one_may_still_win(program: Program, upstreams: list[Upstream]) -> None:
    gate = Gate(response(b"0"))
    slow, other, _ = upstreams
    slow.script(gate.script)
    other.script(SLOW)
    site = serve(program, slow, other)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(site.get)
        other.wait_for_requests(1)
        gate.open()
        assert asked.result(5).body == b"0"
    assert hedges(program, site) == {"won": 0, "lost": 1}
    wait_until(lambda: other.open_count == 0, timeout_s=5, what="the end of the loser")
    (entry,) = program.log(site)
    assert (entry["server"], entry["retries"]) == (f"127.0.0.1:{slow.port}", 1)


def test_one_after_the_other(program: Program, upstreams: list[Upstream]) -> None:
    slow, also_slow, quick = upstreams
    also_slow.script(SLOW)
    site = serve(program, *upstreams, route='hedge = { after = "50ms", attempts = 3 }')
    assert site.get().body == b"2"
    assert [len(upstream.requests) for upstream in upstreams] == [1, 1, 1]
    (entry,) = program.log(site)
    assert entry["retries"] == 2
    assert entry["duration_us"] >= 2 * AFTER_S * 1e6
    assert hedges(program, site) == {"won": 1, "lost": 1}
    wait_until(lambda: slow.open_count + also_slow.open_count == 0, timeout_s=5, what="their ends")
    assert quick.open_count == 1


def test_no_more_tries_than_asked_for(program: Program, upstreams: list[Upstream]) -> None:
    slow, also_slow, quick = upstreams
    also_slow.script(SLOW)
    site = serve(program, *upstreams, route=PATIENT)
    assert site.get().status == 504
    assert (len(slow.requests), len(also_slow.requests), len(quick.requests)) == (1, 1, 0)
    program.wait_for_failures(site, "response_timeout")
    assert hedges(program, site) == {"won": 0, "lost": 1}


def test_the_budget(program: Program, upstreams: list[Upstream]) -> None:
    """When it is spent, requests wait for their first server."""
    slow, quick, _ = upstreams
    spent = "retry_budget = { ratio = 0.0001, min_per_second = 0 }"
    site = serve(program, slow, quick, route=PATIENT, pool=spent)
    assert site.get().status == 504
    assert (len(slow.requests), len(quick.requests)) == (1, 0)
    assert hedges(program, site) == {"won": 0, "lost": 0}


def test_the_budget_is_charged(program: Program, upstreams: list[Upstream]) -> None:
    """For each ten requests one hedge, and what it begins with."""
    slow, quick, _ = upstreams
    little = "retry_budget = { ratio = 0.1, min_per_second = 0 }"
    site = serve(program, slow, quick, route=PATIENT, pool=little)
    with ThreadPoolExecutor(20) as threads:
        asked = [threads.submit(site.get) for _ in range(20)]
        statuses = [reply.result(5).status for reply in asked]
    assert statuses.count(200) == len(quick.requests) == hedges(program, site)["won"]
    assert statuses.count(504) >= 10


def test_with_one_server_there_is_nothing_to_do(
    program: Program, upstreams: list[Upstream]
) -> None:
    site = serve(program, upstreams[0], route=PATIENT)
    assert site.get().status == 504
    assert len(upstreams[0].requests) == 1


POST = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n"


@pytest.mark.parametrize(
    ("route", "hedged"),
    [("", False), ('retry.methods = ["POST"]\nbuffer_request = true', True)],
)
def test_what_may_not_be_repeated_is_not(
    program: Program, upstreams: list[Upstream], route: str, hedged: bool
) -> None:
    slow, quick, _ = upstreams
    site = serve(program, slow, quick, route=f"{PATIENT}\n{route}")
    with site.client() as client:
        client.send(POST)
        client.send(b"hello")
        assert client.read_response().status == (200 if hedged else 504)
    assert len(quick.requests) == int(hedged)
    assert all(request.endswith(b"\r\n\r\nhello") for request in (*slow.requests, *quick.requests))


def test_a_try_that_fails_leaves_it_to_the_other(
    program: Program, upstreams: list[Upstream]
) -> None:
    gate = Gate(response(b"1"))
    first, second, _ = upstreams
    second.script(gate.script)
    site = serve(program, first, second)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(site.get)
        second.wait_for_requests(1)
        first.die()
        wait_until(
            lambda: program.servers(site)[0]["failures"] == 1, timeout_s=5, what="the failure"
        )
        assert not asked.done()
        gate.open()
        assert asked.result(5).body == b"1"
    assert hedges(program, site) == {"won": 1, "lost": 0}


def test_when_all_fail_it_has_failed(program: Program, upstreams: list[Upstream]) -> None:
    first, second, _ = upstreams
    second.script(SLOW)
    site = serve(program, first, second)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(site.get)
        second.wait_for_requests(1)
        first.die()
        second.die()
        assert asked.result(5).status == 502
    assert [told["failures"] for told in program.servers(site)] == [1, 1]
    assert is_idle(program, site)


def test_a_failure_before_its_time_is_a_retry(program: Program, upstreams: list[Upstream]) -> None:
    first, second, _ = upstreams
    first.script([read_request, reset])
    site = serve(program, first, second, route='hedge = { after = "5s" }', attempts=2)
    assert site.get().body == b"1"
    assert hedges(program, site) == {"won": 0, "lost": 0}
    (entry,) = program.log(site)
    assert entry["retries"] == 1


def test_a_kept_connection_that_had_ended(program: Program, upstreams: list[Upstream]) -> None:
    """The same server is asked again at once, on a new one, for free."""
    first, second, _ = upstreams
    first.script([read_request, send(response(b"0"))])
    site = serve(program, first, second, route='hedge = { after = "5s" }')
    with site.client() as client:
        assert [client.request(GET).body for _ in range(10)] == [b"0"] * 10
    assert second.requests == []


def test_a_client_that_leaves(program: Program, upstreams: list[Upstream]) -> None:
    first, second, _ = upstreams
    second.script(SLOW)
    site = serve(program, first, second)
    with site.client() as client:
        client.send(GET)
        second.wait_for_requests(1)
        client.reset()
    wait_until(lambda: is_idle(program, site), timeout_s=5, what="the tries to end")
    wait_until(
        lambda: first.open_count + second.open_count == 0, timeout_s=5, what="their connections"
    )
    program.wait_for_failures(site, "client_closed")


def test_streams(program: Program, upstreams: list[Upstream]) -> None:
    """The loser's stream is reset, and its connection serves on."""
    slow, quick, _ = upstreams
    behind = [Site([slow.port]), Site([quick.port])]
    servers = [server(site.port, priority=number) for number, site in enumerate(behind)]
    site = Site(servers, route=f"retry.attempts = 1\n{HEDGED}", pool=f'protocol = "h2"\n{BUDGET}')
    program.serve(site, *behind)
    with httpx.Client(http1=False, http2=True, timeout=5) as client:
        replies = [client.get(f"http://127.0.0.1:{site.port}/") for _ in range(5)]
    assert [reply.text for reply in replies] == ["1"] * 5
    assert hedges(program, site) == {"won": 5, "lost": 0}
    wait_until(
        lambda: program.failures(behind[0], reason="client_closed") == 5,
        timeout_s=5,
        what="the ends of the slow ones",
    )
    for listener in behind:
        opened = program.trunkline.metric(
            "trunkline_connections_total", listener=f"lb.http.{listener.name}"
        )
        assert opened == 1


def test_large_answers_come_whole(program: Program, upstreams: list[Upstream]) -> None:
    body = bytes(range(256)) * 2_000
    slow, quick, _ = upstreams
    quick.script([forever(read_request, send(response(body)))])
    site = serve(program, slow, quick)
    with site.client() as client:
        assert [client.request(GET).body == body for _ in range(5)] == [True] * 5
    assert quick.connection_count == 1


def test_it_takes_one_place_of_a_limit(program: Program, upstreams: list[Upstream]) -> None:
    slow, quick, _ = upstreams
    site = serve(program, slow, quick, pool=f"{BUDGET}\nconcurrency = {{ max = 1, queue = 1 }}")
    assert [site.get().body for _ in range(5)] == [b"1"] * 5


def test_the_winner_is_remembered(program: Program, upstreams: list[Upstream]) -> None:
    slow, quick, _ = upstreams
    key = "0123456789abcdef" * 2
    site = serve(program, slow, quick, pool=f'{BUDGET}\nsticky = {{ key = "{key}" }}')
    reply = site.get()
    assert reply.body == b"1"
    cookie = "Cookie: " + reply.value("set-cookie").split(";")[0]
    before = len(slow.requests)
    assert site.get("/", cookie).body == b"1"
    assert len(slow.requests) == before
