"""Requests at once per server: who waits, who is refused, who takes over; drain and slow start."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from testkit.client import Response
from testkit.gate import Gate
from testkit.site import Program, Site, server
from testkit.upstream import Upstream, read_request
from testkit.waiting import wait_until

ONE_TRY = "retry.attempts = 1"


class Callers:
    """Clients that ask at the same time."""

    def __init__(self, program: Program, threads: ThreadPoolExecutor) -> None:
        self._program = program
        self._threads = threads

    def ask(self, site: Site) -> Future[Response]:
        """Ask in a thread of its own."""
        return self._threads.submit(site.get)

    def ask_and_wait(self, site: Site) -> Future[Response]:
        """The same; returns when the request is in the queue."""
        before = self.waiting(site)
        asked = self.ask(site)
        wait_until(lambda: self.waiting(site) > before, timeout_s=5, what="a request to wait")
        return asked

    def waiting(self, site: Site) -> int:
        """Requests in the queue of the site's pool."""
        _, pools = self._program.trunkline.admin("GET", "/pools")
        (pool,) = (pool for pool in pools if pool["name"] == f"lb.{site.name}")
        return int(pool["waiting"])


@pytest.fixture
def gates() -> Iterator[list[Gate]]:
    """Two, opened at the end so that nothing is left waiting."""
    gates = [Gate(), Gate()]
    yield gates
    for gate in gates:
        gate.open()


@pytest.fixture
def ports(gates: list[Gate]) -> Iterator[list[int]]:
    """A server behind each gate."""
    with ExitStack() as stack:
        yield [stack.enter_context(Upstream(gate.script)).port for gate in gates]


@pytest.fixture
def callers(program: Program, ports: list[int], gates: list[Gate]) -> Iterator[Callers]:
    with ThreadPoolExecutor(16) as threads:
        yield Callers(program, threads)
        for gate in gates:
            gate.open()


def serve(program: Program, *servers: str, pool: str = "") -> Site:
    site = Site(servers, route=ONE_TRY, pool=pool)
    program.serve(site)
    return site


def one_at_a_time(port: int, **settings: int | bool) -> str:
    return server(port, max_connections=1, **settings)


def states(program: Program, site: Site) -> list[str]:
    return [told["state"] for told in program.servers(site)]


def occupy(callers: Callers, site: Site, gate: Gate) -> Future[Response]:
    """A request that is now with the server behind the gate."""
    before = gate.inside
    asked = callers.ask(site)
    wait_until(lambda: gate.inside > before, timeout_s=5, what="the request to arrive")
    return asked


def refused(answer: Response, reason: str) -> None:
    assert answer.status == 503
    assert answer.body == f'{{"error":"{reason}","status":503}}'.encode()
    assert answer.value("retry-after") == "1"


def failed(program: Program, site: Site, lines: int, reason: str) -> dict[str, Any]:
    """The only log entry with a reason, the only failure counted; nothing waits any more."""
    (entry,) = (entry for entry in program.log(site, lines) if "reason" in entry)
    assert (entry["status"], entry["reason"]) == (503, reason)
    assert program.failures(site) == program.failures(site, reason=reason) == 1
    return entry


def test_a_request_waits_for_room(
    program: Program, ports: list[int], gates: list[Gate], callers: Callers
) -> None:
    site = serve(program, one_at_a_time(ports[0]))
    first = occupy(callers, site, gates[0])
    second = callers.ask_and_wait(site)
    (told,) = program.servers(site)
    assert (told["state"], told["active"]) == ("full", 1)
    gates[0].open()
    assert [first.result(5).status, second.result(5).status] == [200, 200]
    assert gates[0].most_inside == 1
    assert callers.waiting(site) == 0
    assert program.failures(site) == 0
    assert [entry["status"] for entry in program.log(site, 2)] == [200, 200]


def test_never_more_than_the_limit(
    program: Program, ports: list[int], gates: list[Gate], callers: Callers
) -> None:
    """Sixteen clients, two servers with room for three and one."""
    site = serve(program, server(ports[0], max_connections=3), one_at_a_time(ports[1]))
    asked = [callers.ask(site) for _ in range(16)]
    wait_until(lambda: callers.waiting(site) == 12, timeout_s=5, what="the others to wait")
    wait_until(lambda: [gate.inside for gate in gates] == [3, 1], timeout_s=5, what="all places")
    for gate in gates:
        gate.open()
    assert [answer.result(5).status for answer in asked] == [200] * 16
    asked = [callers.ask(site) for _ in range(200)]
    assert [answer.result(5).status for answer in asked] == [200] * 200
    assert [gate.most_inside for gate in gates] == [3, 1]
    assert [told["active"] for told in program.servers(site)] == [0, 0]
    assert program.failures(site) == 0


def test_the_queue_is_full(
    program: Program, ports: list[int], gates: list[Gate], callers: Callers
) -> None:
    site = serve(program, one_at_a_time(ports[0]), pool="queue.length = 1")
    kept = [occupy(callers, site, gates[0]), callers.ask_and_wait(site)]
    refused(site.get(), "queue_full")
    assert callers.waiting(site) == 1
    gates[0].open()
    assert [answer.result(5).status for answer in kept] == [200, 200]
    assert failed(program, site, 3, "queue_full")["duration_us"] < 1_000_000
    assert site.get().status == 200


def test_no_queue(program: Program, ports: list[int], gates: list[Gate], callers: Callers) -> None:
    site = serve(program, one_at_a_time(ports[0]), pool="queue.length = 0")
    occupy(callers, site, gates[0])
    refused(site.get(), "queue_full")
    failed(program, site, 1, "queue_full")


def test_the_time_in_the_queue(
    program: Program, ports: list[int], gates: list[Gate], callers: Callers
) -> None:
    site = serve(program, one_at_a_time(ports[0]), pool='queue.timeout = "150ms"')
    first = occupy(callers, site, gates[0])
    refused(site.get(), "queue_timeout")
    assert 150_000 <= failed(program, site, 1, "queue_timeout")["duration_us"] < 2_000_000
    assert callers.waiting(site) == 0
    gates[0].open()
    assert first.result(5).status == 200
    assert site.get().status == 200


def test_the_time_for_all_ends_in_the_queue(
    program: Program, ports: list[int], gates: list[Gate], callers: Callers
) -> None:
    """Whose request never came to a server has nothing to hold against one."""
    pool = 'queue.timeout = "20s"'
    site = Site([one_at_a_time(ports[0])])
    hasty = f'[[lb.http.{site.name}.routes]]\nname = "hasty"\nprefix = "/hasty"\n'
    times = f'pool = "{site.name}"\ntimeouts.total = "200ms"'
    site.change([one_at_a_time(ports[0])], route=f"{hasty}{times}", pool=pool)
    program.serve(site)
    first = occupy(callers, site, gates[0])
    assert site.get("/hasty").status == 504
    program.wait_for_failures(site, "total_timeout")
    assert program.blamed(site, "total_timeout") == "client"
    gates[0].open()
    assert first.result(5).status == 200


def test_who_leaves_in_the_queue_of_a_retry(
    program: Program, ports: list[int], gates: list[Gate], callers: Callers
) -> None:
    """That is why it ended, not what the first server did before."""
    with Upstream([read_request]) as closing:
        servers = [server(closing.port), one_at_a_time(ports[1], backup=True)]
        site = Site(servers, pool='queue.timeout = "20s"')
        program.serve(site)
        first = occupy(callers, site, gates[1])
        with site.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_until(lambda: callers.waiting(site) == 1, timeout_s=5, what="it to wait")
            client.reset()
            program.wait_for_failures(site, "client_closed")
        gates[1].open()
        assert first.result(5).status == 200


def test_it_takes_the_first_room_there_is(
    program: Program, ports: list[int], gates: list[Gate], callers: Callers
) -> None:
    site = serve(program, *map(one_at_a_time, ports))
    kept = [callers.ask(site), callers.ask(site)]
    wait_until(lambda: [gate.inside for gate in gates] == [1, 1], timeout_s=5, what="all places")
    third = callers.ask_and_wait(site)
    gates[1].open()
    assert third.result(5).status == 200
    assert gates[0].inside == 1
    gates[0].open()
    assert [answer.result(5).status for answer in kept] == [200, 200]


def test_a_backup_takes_over(
    program: Program, ports: list[int], gates: list[Gate], callers: Callers
) -> None:
    """Nobody waits for a full server while a backup has room."""
    site = serve(program, one_at_a_time(ports[0]), server(ports[1], backup=True))
    assert states(program, site) == ["eligible", "standby"]
    gates[1].open()
    first = occupy(callers, site, gates[0])
    assert states(program, site) == ["full", "eligible"]
    assert site.get().status == 200
    gates[0].open()
    assert first.result(5).status == 200
    assert states(program, site) == ["eligible", "standby"]
    assert gates[1].most_inside == 1


def test_priorities(
    program: Program, ports: list[int], gates: list[Gate], callers: Callers
) -> None:
    """The lower number first, whatever the order; both full: the queue."""
    later, sooner = one_at_a_time(ports[0], priority=7), one_at_a_time(ports[1], priority=3)
    site = serve(program, later, sooner)
    first = occupy(callers, site, gates[1])
    second = occupy(callers, site, gates[0])
    third = callers.ask_and_wait(site)
    for gate in gates:
        gate.open()
    assert [asked.result(5).status for asked in (first, second, third)] == [200] * 3


def test_drain_while_requests_are_in_flight(
    program: Program, ports: list[int], gates: list[Gate], callers: Callers
) -> None:
    """They finish; new ones go elsewhere, and come back when it is enabled again."""
    site = serve(program, *map(server, ports))
    gates[1].open()
    asked = [callers.ask(site), callers.ask(site)]
    wait_until(lambda: gates[0].inside == 1, timeout_s=5, what="one of them to arrive")
    told = program.change_server(site, ports[0], draining=True)
    assert (told["state"], told["active"]) == ("draining", 1)
    assert [site.get().status for _ in range(6)] == [200] * 6
    assert gates[0].inside == 1
    gates[0].open()
    assert [answer.result(5).status for answer in asked] == [200, 200]
    assert program.servers(site)[0]["active"] == 0
    gates[0].most_inside = 0
    assert program.change_server(site, ports[0], draining=False)["state"] == "eligible"
    assert [site.get().status for _ in range(6)] == [200] * 6
    assert gates[0].most_inside == 1
    assert program.failures(site) == 0


def test_a_drain_lasts_over_a_reload(program: Program, ports: list[int], gates: list[Gate]) -> None:
    """Of something else: the server's own configuration has not changed."""
    gates[1].open()
    site = serve(program, *map(server, ports))
    program.change_server(site, ports[0], draining=True)
    program.serve(site, Site([ports[1]]))
    assert states(program, site) == ["draining", "eligible"]
    assert [site.get().status for _ in range(6)] == [200] * 6
    assert gates[0].most_inside == 0


def test_slow_start(program: Program, ports: list[int], gates: list[Gate]) -> None:
    """A server that joins begins with a small share, which grows to the full one."""
    for gate in gates:
        gate.open()
    site = serve(program, server(ports[0]), pool='slow_start = "2s"')
    assert states(program, site) == ["eligible"]
    site.change(list(map(server, ports)), route=ONE_TRY, pool='slow_start = "2s"')
    program.serve(site)
    assert states(program, site) == ["eligible", "warming"]

    def share() -> int:
        """Of the next hundred requests, how many the new one gets."""
        before = program.servers(site)[1]["requests"]
        assert {site.get().status for _ in range(100)} == {200}
        return int(program.servers(site)[1]["requests"] - before)

    assert share() <= 30
    wait_until(lambda: states(program, site)[1] == "eligible", timeout_s=5, what="the full share")
    assert share() == 50
