"""How requests spread over servers, by every algorithm, through the running program."""

import asyncio
import collections
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from testkit.site import Program, Site, server
from testkit.trunkline import Trunkline
from testkit.upstream import Connection, Upstream, forever, hang, read_request, response, send
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def upstreams() -> Iterator[list[Upstream]]:
    """Three that answer with their number."""
    servers = [
        Upstream([forever(read_request, send(response(str(number).encode())))])
        for number in range(3)
    ]
    yield servers
    for running in servers:
        running.close()


def serve(program: Program, upstreams: list[Upstream], pool: str, *weights: int) -> Site:
    tables = [
        server(upstream.port, weight=weight)
        for upstream, weight in zip(upstreams, weights or (1, 1, 1), strict=True)
    ]
    site = Site(tables, pool=pool)
    program.serve(site)
    return site


def picks(site: Site, count: int, line: Callable[[int], bytes] = lambda _: b"A: b") -> str:
    """The servers that so many requests on one connection went to."""
    with site.client() as client:
        return "".join(
            client.request(GET[:-2] + line(number) + b"\r\n\r\n").body.decode()
            for number in range(count)
        )


def wait_for_requests(upstreams: list[Upstream], count: int) -> None:
    def arrived() -> bool:
        return sum(len(upstream.requests) for upstream in upstreams) == count

    wait_until(arrived, timeout_s=5, what=f"{count} requests at the servers")


def user(number: int) -> bytes:
    return b"X-User: %d" % number


def test_round_robin(program: Program, upstreams: list[Upstream]) -> None:
    seen = picks(serve(program, upstreams, ""), 12)
    assert seen == (seen[:3] * 4)
    assert set(seen) == set("012")


def test_weighted_round_robin_in_the_order_of_nginx(
    program: Program, upstreams: list[Upstream]
) -> None:
    """5, 1, 1 gives a a b a c a a, from wherever the turn began."""
    site = serve(program, upstreams, 'algorithm = "weighted_round_robin"', 5, 1, 1)
    seen = picks(site, 14)
    assert seen[:7] == seen[7:]
    assert seen[:7] in ("0010200" * 2)


def test_least_connections(program: Program, upstreams: list[Upstream]) -> None:
    """Two servers are busy with a request each, so the third gets everything."""
    for busy in upstreams[:2]:
        busy.script([read_request, hang])
    site = serve(program, upstreams, 'algorithm = "least_connections"')
    with ExitStack() as stack:
        asked = 0
        while not all(busy.requests for busy in upstreams[:2]):
            stack.enter_context(site.client()).send(GET)
            asked += 1
            wait_for_requests(upstreams, asked)
        assert picks(site, 9) == "2" * 9


def test_weighted_least_connections(program: Program, upstreams: list[Upstream]) -> None:
    """Held requests end up in the proportion of the weights."""
    for busy in upstreams:
        busy.script([read_request, hang])
    site = serve(program, upstreams, 'algorithm = "weighted_least_connections"', 4, 2, 1)
    with ExitStack() as stack:
        for asked in range(1, 15):
            stack.enter_context(site.client()).send(GET)
            wait_for_requests(upstreams, asked)
        assert [len(each.requests) for each in upstreams] == [8, 4, 2]
        assert [each["active"] for each in program.servers(site)] == [8, 4, 2]


@pytest.mark.parametrize(
    "pool",
    [
        'algorithm = "hash"\nhash_key = "header:X-User"',
        'algorithm = "consistent_hash"\nhash_key = "header:X-User"',
        'algorithm = "consistent_hash"\nring = "maglev"\nhash_key = "header:X-User"',
        'algorithm = "consistent_hash"\nring = "jump"\nhash_key = "header:X-User"',
        'algorithm = "consistent_hash"\nring = "rendezvous"\nhash_key = "header:X-User"',
        'algorithm = "consistent_hash"\nring = "bounded_load"\nhash_key = "header:X-User"',
    ],
)
def test_one_key_one_server(program: Program, upstreams: list[Upstream], pool: str) -> None:
    site = serve(program, upstreams, pool)
    first = picks(site, 60, user)
    assert picks(site, 60, user) == first
    assert min(collections.Counter(first).values()) > 6


HASH_KEYS = {
    "path": ("/{}", "A: b"),
    "uri": ("/?x={}", "A: b"),
    "query:user": ("/?y=1&user={}", "A: b"),
    "header:X-User": ("/", "X-User: {}"),
    "cookie:session": ("/", "Cookie: a=b; session={}; c=d"),
}


@pytest.mark.parametrize("hash_key", HASH_KEYS)
def test_what_is_hashed(program: Program, upstreams: list[Upstream], hash_key: str) -> None:
    target, line = HASH_KEYS[hash_key]
    pool = f'algorithm = "consistent_hash"\nhash_key = "{hash_key}"'
    site = serve(program, upstreams, pool)

    def ask(value: int) -> bytes:
        return site.get(target.format(value), line.format(value)).body

    first = [ask(value) for value in range(20)]
    assert [ask(value) for value in range(20)] == first
    assert len(set(first)) == 3


def test_the_address_is_hashed_by_default(program: Program, upstreams: list[Upstream]) -> None:
    assert len(set(picks(serve(program, upstreams, 'algorithm = "hash"'), 10, user))) == 1


def test_consistent_hash_without_a_server(program: Program, upstreams: list[Upstream]) -> None:
    """Keys of the servers that stay do not move when one is drained, and come home after it."""
    pool = 'algorithm = "consistent_hash"\nhash_key = "header:X-User"'
    site = serve(program, upstreams, pool)
    before = picks(site, 60, user)
    program.change_server(site, upstreams[1].port, draining=True)
    without = picks(site, 60, user)
    assert "1" not in without
    kept = [new for old, new in zip(before, without, strict=True) if old != "1"]
    assert kept == [old for old in before if old != "1"]
    program.change_server(site, upstreams[1].port, draining=False)
    assert picks(site, 60, user) == before


def test_consistent_hash_with_one_server_more(program: Program, upstreams: list[Upstream]) -> None:
    """A reload that adds a server moves keys to it alone."""
    pool = 'algorithm = "consistent_hash"\nhash_key = "header:X-User"'
    site = Site([upstream.port for upstream in upstreams[:2]], pool=pool)
    program.serve(site)
    before = picks(site, 60, user)
    site.change([upstream.port for upstream in upstreams], pool=pool)
    program.serve(site)
    after = picks(site, 60, user)
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {"2"}
    assert len(moved) < 40


def test_power_of_two_spares_the_busy(program: Program, upstreams: list[Upstream]) -> None:
    """Of any two servers the idle one is chosen: the one with held requests gets no more."""
    upstreams[0].script([read_request, hang])
    site = serve(program, upstreams, 'algorithm = "power_of_two"')
    with ExitStack() as stack:
        asked = 0
        while not upstreams[0].requests:
            stack.enter_context(site.client()).send(GET)
            asked += 1
            wait_for_requests(upstreams, asked)
        seen = picks(site, 40)
    assert set(seen) == {"1", "2"}


def test_peak_ewma_prefers_the_fast(program: Program, upstreams: list[Upstream]) -> None:
    async def think(connection: Connection) -> None:
        await asyncio.sleep(0.05)

    upstreams[2].script([forever(read_request, think, send(response(b"2")))])
    site = serve(program, upstreams, 'algorithm = "peak_ewma"')
    counts = collections.Counter(picks(site, 60))
    assert counts["2"] <= 3
    latencies = {each["name"]: each["ewma_ms"] for each in program.servers(site)}
    assert latencies[f"127.0.0.1:{upstreams[2].port}"] > 20


def test_backups_stand_by(program: Program, upstreams: list[Upstream]) -> None:
    """The lowest priority with an eligible server serves; in turn the next ones."""
    first, second, third = (upstream.port for upstream in upstreams)
    site = Site([server(first), server(second, backup=True), server(third, priority=2)])
    program.serve(site)
    assert [each["state"] for each in program.servers(site)] == ["eligible", "standby", "standby"]
    assert picks(site, 4) == "0000"
    program.change_server(site, first, enabled=False)
    assert picks(site, 4) == "1111"
    program.change_server(site, second, draining=True)
    assert picks(site, 4) == "2222"
    program.change_server(site, first, enabled=True)
    assert picks(site, 4) == "0000"


def test_a_backup_takes_the_retry(program: Program, upstreams: list[Upstream]) -> None:
    first, second, _ = (upstream.port for upstream in upstreams)
    upstreams[0].die()
    site = Site([server(first), server(second, backup=True)])
    program.serve(site)
    assert picks(site, 3) == "111"
    assert [entry["retries"] for entry in program.log(site, 3)] == [1, 1, 1]


def test_worker_threads_together(
    tmp_path_factory: pytest.TempPathFactory, upstreams: list[Upstream]
) -> None:
    """Each worker has its own turn; over all of them the shares are even."""
    site = Site([upstream.port for upstream in upstreams])
    with Trunkline(tmp_path_factory.mktemp("two"), site.config, threads=2):
        counts = collections.Counter(site.get().body for _ in range(90))
    assert max(counts.values()) - min(counts.values()) <= 4
