"""Limits of what a pool or a route has under way at once: places, queues, what becomes of them."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any, Self

import pytest

from testkit.client import Response
from testkit.faultproxy import Fault, FaultProxy
from testkit.gate import Gate, ask_and_wait, occupy
from testkit.site import Program, Site, server
from testkit.upstream import (
    OK,
    Script,
    Upstream,
    answer,
    forever,
    hang,
    read_request,
    reset,
    send,
)
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Opened at the end so that nothing is left waiting."""
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def upstream(gate: Gate) -> Iterator[Upstream]:
    with Upstream(gate.script) as upstream:
        yield upstream


@pytest.fixture
def threads(upstream: Upstream, gate: Gate) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads
        gate.open()


def serve(program: Program, port: int, limit: str, *, of: str = "pool", route: str = "") -> Site:
    """A site whose pool, or route, has this limit; one try for each request."""
    limits = {of: f"concurrency = {limit}"}
    lines = f"retry.attempts = 1\n{limits.get('route', '')}\n{route}"
    site = Site([port], route=lines, pool=limits.get("pool", ""))
    program.serve(site)
    return site


def told(program: Program, site: Site, of: str = "pool") -> dict[str, Any]:
    """What the status says of the limit."""
    name = f"lb.{site.name}" if of == "pool" else f"lb.{site.name}.all"
    entries = program.trunkline.status()[f"{of}s"]
    return next(entry["concurrency"] for entry in entries if entry["name"] == name)


def waiting(program: Program, site: Site, of: str = "pool") -> int:
    return int(told(program, site, of)["waiting"])


class Crowd:
    """Clients that ask, each again and again, until the ``with`` block ends."""

    def __init__(self, site: Site, count: int) -> None:
        self._site = site
        self._over = threading.Event()
        self._threads = ThreadPoolExecutor(count)
        self._asked = [self._threads.submit(self._ask) for _ in range(count)]
        self.statuses: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.statuses = set().union(*(asked.result(20) for asked in self._asked))
        self._threads.shutdown()

    def _ask(self) -> set[int]:
        statuses = set()
        with self._site.client(timeout_s=20) as client:
            while not self._over.is_set():
                statuses.add(client.request(GET).status)
        return statuses


def refused(reply: Response, reason: str) -> None:
    assert reply.status == 503
    assert reply.body == f'{{"error":"{reason}","status":503}}'.encode()
    assert reply.value("retry-after") == "1"


def wait_for_places(program: Program, site: Site, of: str = "pool") -> None:
    """Until all are free: clients have their answer before its place is given back."""

    def is_free() -> bool:
        limit = told(program, site, of)
        return (limit["active"], limit["waiting"]) == (0, 0)

    wait_until(is_free, timeout_s=5, what="the places")


@pytest.mark.parametrize("of", ["pool", "route"])
def test_over_the_limit_it_refuses_at_once(
    program: Program, upstream: Upstream, gate: Gate, threads: ThreadPoolExecutor, of: str
) -> None:
    site = serve(program, upstream.port, "{ max = 2 }", of=of)
    kept = [occupy(threads, site, gate) for _ in range(2)]
    refused(site.get(), "concurrency_full")
    assert told(program, site, of) == {
        "limit": 2,
        "active": 2,
        "waiting": 0,
        "refused": 1,
        "latency_ms": 0,
        "usual_ms": 0,
    }
    gate.open()
    assert [asked.result(5).status for asked in kept] == [200, 200]
    wait_for_places(program, site, of)
    assert site.get().status == 200
    (entry,) = (entry for entry in program.log(site, 4) if "reason" in entry)
    assert (entry["status"], entry["reason"]) == (503, "concurrency_full")
    assert entry["duration_us"] < 1_000_000
    program.wait_for_failures(site, "concurrency_full")
    assert gate.most_inside == 2
    wait_for_places(program, site, of)


@pytest.mark.parametrize("of", ["pool", "route"])
def test_metrics(
    program: Program, upstream: Upstream, gate: Gate, threads: ThreadPoolExecutor, of: str
) -> None:
    site = serve(program, upstream.port, "{ max = 1, queue = 1 }", of=of)
    name = f"lb.{site.name}" if of == "pool" else f"lb.{site.name}.all"

    def metric(family: str) -> float:
        return program.trunkline.metric(f"trunkline_concurrency_{family}", **{of: name})

    kept = [occupy(threads, site, gate)]
    kept.append(ask_and_wait(threads, site, partial(waiting, program, site, of)))
    refused(site.get(), "concurrency_full")
    families = ("limit", "active", "waiting", "refused_total")
    assert [metric(family) for family in families] == [1, 1, 1, 1]
    gate.open()
    assert [asked.result(5).status for asked in kept] == [200, 200]
    assert [metric(family) for family in families] == [1, 0, 0, 1]


@pytest.mark.parametrize("of", ["pool", "route"])
def test_who_waits_is_served_in_order(
    program: Program, upstream: Upstream, gate: Gate, threads: ThreadPoolExecutor, of: str
) -> None:
    site = serve(program, upstream.port, '{ max = 1, queue = 8, queue_timeout = "10s" }', of=of)
    asked = [occupy(threads, site, gate, "/0")]
    its_queue = partial(waiting, program, site, of)
    asked += [ask_and_wait(threads, site, its_queue, f"/{number}") for number in range(1, 9)]
    refused(site.get(), "concurrency_full")
    gate.open()
    assert [reply.result(5).status for reply in asked] == [200] * 9
    targets = [request.split(b" ")[1] for request in upstream.requests]
    assert targets == [f"/{number}".encode() for number in range(9)]
    assert gate.most_inside == 1
    program.wait_for_failures(site, "concurrency_full")


def test_never_more_than_the_limit(
    program: Program, upstream: Upstream, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    site = serve(program, upstream.port, '{ max = 3, queue = 100, queue_timeout = "10s" }')
    gate.open()
    asked = [threads.submit(site.get) for _ in range(300)]
    assert [reply.result(10).status for reply in asked] == [200] * 300
    assert gate.most_inside <= 3
    wait_for_places(program, site)


def test_the_time_in_the_queue(
    program: Program, upstream: Upstream, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    site = serve(program, upstream.port, '{ max = 1, queue = 1, queue_timeout = "150ms" }')
    first = occupy(threads, site, gate)
    refused(site.get(), "concurrency_timeout")
    (entry,) = program.log(site)
    assert entry["reason"] == "concurrency_timeout"
    assert 150_000 <= entry["duration_us"] < 2_000_000
    assert waiting(program, site) == 0
    gate.open()
    assert first.result(5).status == 200
    wait_for_places(program, site)
    assert site.get().status == 200


def test_the_time_for_everything_holds_in_the_queue(
    program: Program, upstream: Upstream, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    patience = 'timeouts.total = "200ms"'
    limit = '{ max = 1, queue = 1, queue_timeout = "10s" }'
    site = serve(program, upstream.port, limit, route=patience)
    occupy(threads, site, gate)
    reply = site.get()
    assert (reply.status, reply.body) == (504, b'{"error":"total_timeout","status":504}')


def test_who_leaves_the_queue_leaves_its_place(
    program: Program, upstream: Upstream, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    site = serve(program, upstream.port, '{ max = 1, queue = 1, queue_timeout = "10s" }')
    first = occupy(threads, site, gate)
    with site.client() as client:
        client.send(GET)
        wait_until(lambda: waiting(program, site) == 1, timeout_s=5, what="it to wait")
        client.reset()
        wait_until(lambda: waiting(program, site) == 0, timeout_s=5, what="its place")
    second = ask_and_wait(threads, site, partial(waiting, program, site))
    gate.open()
    assert [asked.result(5).status for asked in (first, second)] == [200, 200]
    assert len(upstream.requests) == 2
    program.wait_for_failures(site, "client_closed")


def ask(site: Site) -> None:
    assert site.get().status in (200, 502, 504)


def ask_and_be_cut(site: Site) -> None:
    with site.client() as client:
        client.send(GET)
        client.read_until_close()


def ask_and_leave(site: Site) -> None:
    with site.client() as client:
        client.send(GET)
        assert client.socket.recv(1) == b"H"


UPGRADE = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"


def tunnel(site: Site) -> None:
    with site.client() as client:
        assert client.request(UPGRADE).status == 101


ENDS: dict[str, tuple[Script, Callable[[Site], None]]] = {
    "answered": (answer(OK), ask),
    "no answer": ([read_request, hang], ask),
    "reset": ([read_request, reset], ask),
    "nonsense": (answer(b"nonsense\r\n\r\n"), ask),
    "truncated": (answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), ask_and_be_cut),
    "stalled": (
        [read_request, send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), hang],
        ask_and_be_cut,
    ),
    "left": (
        [read_request, send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), hang],
        ask_and_leave,
    ),
    "a tunnel": ([read_request, send(SWITCHED), hang], tunnel),
}


@pytest.mark.parametrize("end", list(ENDS))
def test_places_come_back_however_it_ends(program: Program, end: str) -> None:
    """One place, so that a lost one would be the end."""
    script, request = ENDS[end]
    patience = 'timeouts = { response_head = "100ms", body_idle = "100ms" }'
    with Upstream(script) as upstream:
        site = serve(program, upstream.port, "{ max = 1 }", route=patience)
        request(site)
        wait_for_places(program, site)
        upstream.script([forever(read_request, send(OK))])
        assert site.get().status == 200
        wait_for_places(program, site)


def test_it_comes_back_from_a_server_that_is_not_there(program: Program) -> None:
    with Upstream() as upstream:
        site = serve(program, upstream.port, "{ max = 1 }")
        upstream.die()
        assert [site.get().status for _ in range(3)] == [502] * 3
        upstream.come_back()
        assert site.get().status == 200


def test_a_tunnel_keeps_its_place(program: Program) -> None:
    with Upstream([read_request, send(SWITCHED), hang], [forever(read_request, send(OK))]) as up:
        site = serve(program, up.port, "{ max = 1 }")
        with site.client() as client:
            assert client.request(UPGRADE).status == 101
            refused(site.get(), "concurrency_full")
        wait_for_places(program, site)
        assert site.get().status == 200


def test_a_route_leaves_room_for_the_others(
    program: Program, upstream: Upstream, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    """Two businesses on one server with room for three: the one that hangs gets two places."""
    site = Site([upstream.port])
    site.change(
        [server(upstream.port, max_connections=3)],
        route='prefix = "/hangs"\nconcurrency = { max = 2 }\n'
        f'[[lb.http.{site.name}.routes]]\nname = "others"\npool = "{site.name}"',
    )
    program.serve(site)
    kept = [occupy(threads, site, gate, "/hangs") for _ in range(2)]
    refused(site.get("/hangs"), "concurrency_full")
    third = occupy(threads, site, gate)
    gate.open()
    assert [asked.result(5).status for asked in (*kept, third)] == [200] * 3


def test_who_waits_for_the_pool_holds_a_place_of_the_route(
    program: Program, upstream: Upstream, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    site = Site([upstream.port])
    site.change(
        [upstream.port],
        route="concurrency = { max = 2 }",
        pool='concurrency = { max = 1, queue = 5, queue_timeout = "10s" }',
    )
    program.serve(site)
    kept = [occupy(threads, site, gate)]
    kept.append(ask_and_wait(threads, site, partial(waiting, program, site)))
    assert told(program, site, "route")["active"] == 2
    refused(site.get(), "concurrency_full")
    gate.open()
    assert [asked.result(5).status for asked in kept] == [200, 200]
    wait_for_places(program, site, "route")


def test_a_reload_forgets_nobody(
    program: Program, upstream: Upstream, gate: Gate, threads: ThreadPoolExecutor
) -> None:
    """The same limit is the same object, though the rest of the pool and the route have changed."""
    both = "concurrency = { max = 1, queue = 1 }"
    for of in ("pool", "route"):
        site = serve(program, upstream.port, "{ max = 1 }", of=of)
        gate.inside = 0
        kept = occupy(threads, site, gate)
        limit = {of: "concurrency = { max = 1 }\n"}
        site.change(
            [upstream.port],
            route="retry.attempts = 2\n" + limit.get("route", ""),
            pool='connect_timeout = "3s"\n' + limit.get("pool", ""),
        )
        program.serve(site)
        assert told(program, site, of)["active"] == 1
        refused(site.get(), "concurrency_full")
        site.change([upstream.port], route=both)
        program.serve(site)
        assert told(program, site, "route")["active"] == 0, "another limit begins anew"
        assert not kept.done()


def test_an_adaptive_limit_follows_the_service(program: Program) -> None:
    """It grows while answers take as long as ever, and falls when they take longer."""
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream())
        service = stack.enter_context(FaultProxy(upstream.port))
        service.set_downlink(Fault(delay_s=0.03))
        adaptive = 'adaptive = { min = 2, initial = 4, window = "50ms" }'
        site = serve(program, service.port, f"{{ max = 30, queue = 100, {adaptive} }}")

        def limit() -> int:
            return int(told(program, site)["limit"])

        assert limit() == 4
        crowd = stack.enter_context(Crowd(site, 24))
        wait_until(lambda: limit() >= 16, timeout_s=20, what="the limit to grow")
        usual_ms = told(program, site)["usual_ms"]
        service.set_downlink(Fault(delay_s=0.3))
        wait_until(lambda: limit() < 13, timeout_s=20, what="the limit to fall")
        assert told(program, site)["latency_ms"] > 2 * usual_ms
    assert crowd.statuses <= {200, 503}
