"""Splits: how many requests each pool gets, and which; what is said about it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from testkit.ports import free_port
from testkit.site import Program, Site
from testkit.trunkline import Trunkline
from testkit.upstream import Upstream, forever, read_request, response, send

# Of any number of requests in a row a side gets its share, off by so many (share.rs).
FEW = 3


@pytest.fixture
def ports() -> Iterator[list[int]]:
    """Three servers that answer with their number."""
    with ExitStack() as stack:
        scripts = [[forever(read_request, send(response(str(n).encode())))] for n in range(3)]
        yield [stack.enter_context(Upstream(script)).port for script in scripts]


class Split(Site):
    """A site whose route divides requests over pools of one server each."""

    def __init__(self, ports: Sequence[int], *weights: int, route: str = "") -> None:
        super().__init__(ports)
        self.weigh(ports, *weights, route=route)

    def weigh(self, ports: Sequence[int], *weights: int, route: str = "") -> None:
        """Other weights, in this order of servers."""
        names = [f"{self.name}-{port}" for port in ports]
        shares = [
            f'{{ pool = "{name}", weight = {weight} }}'
            for name, weight in zip(names, weights, strict=True)
        ]
        self.config = (
            f'[lb.http.{self.name}]\nlisten = "127.0.0.1:{self.port}"\n'
            f'[[lb.http.{self.name}.routes]]\nname = "all"\nsplit = [{", ".join(shares)}]\n'
            f"retry.attempts = 1\n{route}\n"
        )
        for name, port in zip(names, ports, strict=True):
            self.config += f'[lb.pools.{name}]\nservers = ["127.0.0.1:{port}"]\n'

    def pool(self, port: int) -> str:
        """The name of a server's pool in status, metrics and log."""
        return f"lb.{self.name}-{port}"

    def ask(self, times: int, *lines: str) -> list[int]:
        """Which servers answered, on one connection."""
        head = "\r\n".join(["GET / HTTP/1.1", "Host: a.example", *lines])
        with self.client() as client:
            raw = f"{head}\r\n\r\n".encode()
            return [int(client.request(raw).body) for _ in range(times)]

    def explain(self, program: Program, *lines: str) -> Any:
        """What would happen to a request."""
        headers = [line.split(": ", 1) for line in lines]
        question = {"url": "/", "headers": headers, "listener": f"lb.http.{self.name}"}
        status, answer = program.trunkline.admin("POST", "/explain", question)
        assert status == 200, answer
        return answer


def sides(program: Program, site: Split) -> dict[str, int]:
    """Requests by pool, as the status tells."""
    routes = program.trunkline.status()["routes"]
    (route,) = (route for route in routes if route["name"] == f"lb.{site.name}.all")
    assert route["pool"] is None
    return {side["pool"]: side["requests"] for side in route["split"]}


@pytest.mark.parametrize("weights", [(90, 9, 1), (1, 1, 1), (1, 0, 3)])
def test_each_side_gets_its_share(
    program: Program, ports: list[int], weights: tuple[int, ...]
) -> None:
    site = Split(ports, *weights)
    program.serve(site)
    asked = 200
    counts = Counter(site.ask(asked))
    for number, weight in enumerate(weights):
        expected = asked * weight / sum(weights)
        assert abs(counts[number] - expected) <= (FEW if weight else 0), counts
    assert sides(program, site) == {site.pool(port): counts[n] for n, port in enumerate(ports)}


def test_workers_keep_the_shares(
    tmp_path_factory: pytest.TempPathFactory, ports: list[int]
) -> None:
    """By turns of their own: each of two workers is off by a few at most."""
    site = Split(ports[:2], 3, 1)
    folder = tmp_path_factory.mktemp("two-workers")
    with Trunkline(folder, site.config, threads=2):
        answered = [number for _ in range(50) for number in site.ask(4)]
        assert abs(answered.count(0) - 150) <= 2 * FEW


BY = [
    ("cookie:session", "Cookie: a=1; session={}; b=2"),
    ("header:X-User", "X-User: {}"),
]


@pytest.mark.parametrize(("by", "line"), BY)
def test_a_client_stays_on_its_side(program: Program, ports: list[int], by: str, line: str) -> None:
    site = Split(ports[:2], 50, 50, route=f'split_by = "{by}"')
    program.serve(site)
    users = [line.format(f"user-{number}") for number in range(60)]
    first = [site.ask(3, user) for user in users]
    assert all(len(set(answers)) == 1 for answers in first)
    chosen = [answers[0] for answers in first]
    assert 15 <= sum(chosen) <= 45
    # Nobody is moved by a reload, and only towards the side that grows.
    site.weigh(ports[:2], 20, 80, route=f'split_by = "{by}"')
    program.serve(site)
    later = [site.ask(1, user)[0] for user in users]
    assert all(after >= before for before, after in zip(chosen, later, strict=True))
    assert sum(later) > sum(chosen)


def test_who_has_no_key_is_divided_by_turns(program: Program, ports: list[int]) -> None:
    site = Split(ports[:2], 50, 50, route='split_by = "cookie:session"')
    program.serve(site)
    counts = Counter(
        site.ask(60) + site.ask(60, "Cookie: other=x") + site.ask(60, "Cookie: session=")
    )
    assert abs(counts[0] - 90) <= 3 * FEW


def test_one_address_is_one_client(program: Program, ports: list[int]) -> None:
    site = Split(ports[:2], 50, 50, route='split_by = "ip"')
    program.serve(site)
    assert len(set(site.ask(20))) == 1


def test_a_retry_stays_on_its_side(program: Program, ports: list[int]) -> None:
    """The other side is another version of the service, not its backup."""
    dead = free_port()
    site = Split([dead, ports[1]], 1, 1, route="retry.attempts = 3")
    site.config = site.config.replace("retry.attempts = 1\n", "")
    program.serve(site)
    with site.client() as client:
        raw = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
        statuses = Counter(client.request(raw).status for _ in range(40))
    assert set(statuses) == {200, 502}
    assert abs(statuses[200] - 20) <= FEW


def test_what_is_said_about_it(program: Program, ports: list[int]) -> None:
    """The pool that was really used, in the log, the metrics and the answer of `explain`."""
    site = Split(ports[:2], 50, 50, route='split_by = "cookie:session"')
    program.serve(site)
    cookies = [f"Cookie: session={number}" for number in range(8)]
    answered = [site.ask(1, cookie)[0] for cookie in cookies]
    assert set(answered) == {0, 1}
    used = [site.pool(ports[number]) for number in answered]
    entries = program.log(site, len(cookies))
    assert [entry["pool"] for entry in entries] == used
    assert [entry["server"] for entry in entries] == [f"127.0.0.1:{ports[n]}" for n in answered]
    assert [site.explain(program, cookie)["pool"] for cookie in cookies] == used
    told = site.explain(program, cookies[0])
    assert told["split"] == {
        "by": "cookie:session",
        "sides": [{"pool": site.pool(port), "weight": 50} for port in ports[:2]],
    }
    assert told["server"]["name"] == f"127.0.0.1:{ports[answered[0]]}"
    for number, port in enumerate(ports[:2]):
        counted = program.trunkline.metric(
            "trunkline_split_requests_total", route=f"lb.{site.name}.all", pool=site.pool(port)
        )
        assert counted == answered.count(number)


def test_explaining_takes_no_turn(program: Program, ports: list[int]) -> None:
    site = Split(ports[:2], 1, 1)
    program.serve(site)
    for _ in range(10):
        told = site.explain(program)
        assert told["pool"] == site.pool(ports[site.ask(1)[0]])
        assert told["split"]["by"] == "turns"


def test_counts_last_over_a_reload(program: Program, ports: list[int]) -> None:
    site = Split(ports[:2], 1, 1)
    program.serve(site)
    before = Counter(site.ask(10))
    site.weigh([ports[2], ports[0]], 1, 1)
    program.serve(site)
    assert sides(program, site) == {site.pool(ports[2]): 0, site.pool(ports[0]): before[0]}
