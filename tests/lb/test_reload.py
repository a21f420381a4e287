"""New configurations under traffic: no request fails, what can live on does, nothing piles up."""

import asyncio
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from testkit.client import Client
from testkit.ports import free_port, is_listening
from testkit.procfs import fd_count, rss_bytes
from testkit.site import Program, Site, server
from testkit.trunkline import Trunkline
from testkit.upstream import OK, Connection, Upstream, read_head, read_request, send
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\n\r\n"
ONE_TRY = "retry.attempts = 1"


async def echo(connection: Connection) -> None:
    while data := await connection.reader.read(65536):
        await send(data)(connection)


class Load:
    """Clients that ask without a pause, some on kept connections, some on a new one each time."""

    def __init__(self, site: Site) -> None:
        self.answers = 0
        self.failures: list[str] = []
        self._site = site
        self._stop = threading.Event()
        loops = (self._keep, self._keep, self._anew, self._anew)
        self._threads = [threading.Thread(target=self._run, args=(loop,)) for loop in loops]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def wait(self, answers: int) -> None:
        """Until there are so many more answers."""
        enough = self.answers + answers
        wait_until(lambda: self.answers >= enough, timeout_s=10, what=f"{answers} answers")

    def _run(self, loop: Callable[[Client], None]) -> None:
        while not self._stop.is_set():
            try:
                with self._site.client() as client:
                    loop(client)
            except Exception as error:
                self.failures.append(repr(error))

    def _keep(self, client: Client) -> None:
        while not self._stop.is_set() and not self._ask(client):
            pass

    def _anew(self, client: Client) -> None:
        self._ask(client)

    def _ask(self, client: Client) -> bool:
        """Whether the proxy said that it closes the connection."""
        answer = client.request(GET)
        if answer.status != 200:
            self.failures.append(f"{answer}")
        self.answers += 1
        return answer.values("connection") == ["close"]


@pytest.fixture
def upstreams() -> Iterator[list[Upstream]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Upstream()) for _ in range(2)]


@pytest.fixture
def ports(upstreams: list[Upstream]) -> list[int]:
    return [upstream.port for upstream in upstreams]


@pytest.fixture
def site(program: Program, ports: list[int]) -> Site:
    site = Site(ports[:1], route=ONE_TRY)
    program.serve(site)
    return site


POOLS = [
    'algorithm = "least_connections"',
    'algorithm = "consistent_hash"',
    'algorithm = "peak_ewma"\nslow_start = "1s"',
    "keep_alive.requests = 10",
    'health = { kind = "tcp", interval = "50ms" }',
    "outlier = { consecutive_failures = 3 }",
    "panic_threshold = 0.5",
]


def change(site: Site, ports: list[int], number: int) -> None:
    """Another pool and another route each time: servers come, go and change places."""
    servers = [server(ports[0], weight=1 + number % 5), server(ports[1], max_connections=50)]
    chosen = [servers, servers[::-1], servers[:1], servers[1:]][number % 4]
    site.change(
        chosen,
        listener=f'timeouts.keep_alive = "{60 + number}s"',
        route=f'{ONE_TRY}\ntimeouts.total = "{60 + number}s"',
        pool=POOLS[number % len(POOLS)],
    )


def test_a_hundred_reloads_without_a_failed_request(
    program: Program, site: Site, ports: list[int]
) -> None:
    with Load(site) as load:
        for number in range(100):
            change(site, ports, number)
            others = [Site(ports) for _ in range(number % 3)]
            program.serve(site, *others)
            load.wait(2)
            assert all(is_listening(other.port) for other in others)
    assert load.failures == []
    assert load.answers >= 200
    assert program.failures(site) == 0


def test_connections_to_servers_live_on(
    program: Program, site: Site, upstreams: list[Upstream], ports: list[int]
) -> None:
    """By server: its pool's other settings and its neighbours may change."""
    assert site.get().status == 200
    for number in range(20):
        extra = [server(free_port(), weight=0)] * (number % 2)
        site.change(
            [server(ports[0], weight=1 + number), *extra],
            route=ONE_TRY,
            pool=f'slow_start = "{number}s"',
        )
        program.serve(site)
        assert program.servers(site)[0]["idle_connections"] == 1
        assert site.get().status == 200
    assert upstreams[0].connection_count == 1
    assert program.servers(site)[0]["requests"] == 21
    site.change(ports[1:], route=ONE_TRY)
    program.serve(site)
    assert site.get().status == 200
    wait_until(lambda: upstreams[0].open_count == 0, timeout_s=5, what="the connection to end")


def test_a_request_keeps_its_configuration(
    program: Program, site: Site, upstreams: list[Upstream], ports: list[int]
) -> None:
    """Route, pool and server are gone when the answer comes; the next request sees the new ones."""
    release = threading.Event()

    async def held(_: Connection) -> None:
        await asyncio.to_thread(release.wait, 20)

    upstreams[0].script([read_request, held, send(OK)])
    with site.client() as client:
        client.send(GET)
        upstreams[0].wait_for_requests(1)
        site.change(ports[1:], route='path = "/new"')
        program.serve(site)
        release.set()
        assert client.read_response().status == 200
        assert client.request(GET).status == 404
        assert client.request(GET.replace(b"/ ", b"/new ")).status == 200
    first, second, third = program.log(site, 3)
    assert first["server"] == f"127.0.0.1:{ports[0]}"
    assert (second["status"], second["reason"]) == (404, "route_not_found")
    assert third["server"] == f"127.0.0.1:{ports[1]}"


def test_connections_of_a_removed_listener(program: Program, site: Site, ports: list[int]) -> None:
    """An open one is served once more and told that this was all."""
    with site.client() as client:
        assert client.request(GET).values("connection") == []
        program.serve(Site(ports))
        wait_until(lambda: not is_listening(site.port), timeout_s=5, what="the listener's end")
        answer = client.request(GET)
        assert (answer.status, answer.value("connection")) == (200, "close")
        assert client.is_closed()


UNSOUND: dict[str, tuple[str, str]] = {
    # what is added to a sound file, and what the answer says
    "no TOML": ("[lb.http", "line"),
    "unknown key": ("[lb.pools.extra]\nservers = ['127.0.0.1:1']\ncolour = 1", "colour"),
    "unknown pool": ("[lb.http.extra]\nlisten = '127.0.0.1:{free}'\npool = 'nobody'", "nobody"),
    "no such address": (
        "[lb.http.extra]\nlisten = ['127.0.0.1:{free}', '192.0.2.1:{free}']\npool = 'nobody'\n"
        "[lb.pools.nobody]\nservers = ['127.0.0.1:1']",
        "192.0.2.1",
    ),
    "taken address": (
        "[lb.http.extra]\nlisten = ['127.0.0.1:{free}', '127.0.0.1:{taken}']\npool = 'nobody'\n"
        "[lb.pools.nobody]\nservers = ['127.0.0.1:1']",
        "in use",
    ),
}


@pytest.mark.parametrize("case", UNSOUND)
def test_an_unsound_file_changes_nothing(
    program: Program, site: Site, ports: list[int], case: str
) -> None:
    added, says = UNSOUND[case]
    free, trunkline = free_port(), program.trunkline
    site.change(ports[:1], route=ONE_TRY, pool="keep_alive.idle = 1")
    program.serve(site)
    assert site.get().status == 200
    wait_until(lambda: trunkline.status()["open_connections"] == 0, timeout_s=5, what="silence")
    generation, files = trunkline.status()["generation"], fd_count(trunkline.pid)
    trunkline.write_config(f"{site.config}\n{added.format(free=free, taken=ports[0])}")
    with Load(site) as load:
        status, answer = trunkline.reload()
        load.wait(10)
    assert (status, says in str(answer["errors"])) == (422, True), answer
    assert load.failures == []
    told = trunkline.status()
    assert told["generation"] == generation
    assert not told["process"]["last_reload"]["ok"]
    assert not is_listening(free)
    wait_until(lambda: fd_count(trunkline.pid) <= files, timeout_s=5, what="descriptors to return")
    program.serve(site)
    assert site.get().status == 200


@pytest.fixture
def many() -> Iterator[int]:
    """Tunnels, each with both ends in this process: ten thousand where the hard limit allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(10_000, hard // 2 - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_tunnel(port: int) -> socket.socket:
    tunnel = socket.create_connection(("127.0.0.1", port), timeout=10)
    tunnel.sendall(UPGRADE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += tunnel.recv(4096)
    assert head.startswith(b"HTTP/1.1 101 ")
    return tunnel


@pytest.mark.timeout(300)
def test_a_thousand_reloads(ports: list[int], tmp_path: Path, many: int) -> None:
    """Memory and descriptors stay as they are, and ten thousand upgraded connections stay open.

    Names of routes and pools are new each time: what is counted by name must not pile up.
    """
    tunnelled = Upstream([read_head, send(SWITCH), echo])
    site = Site([tunnelled.port])
    with tunnelled, Trunkline(tmp_path, site.config, threads=2) as trunkline:
        program = Program(trunkline)
        program.serve(site)
        with ExitStack() as stack:
            tunnels = [stack.enter_context(open_tunnel(site.port)) for _ in range(many)]
            early = swap(program, site, ports, times=200)
            late = swap(program, site, ports, times=800)
            for tunnel in tunnels:
                tunnel.sendall(b"still there?")
            assert {tunnel.recv(100) for tunnel in tunnels} == {b"still there?"}
        assert late["bytes"] - early["bytes"] < 3_000_000
        assert late["files"] == early["files"]


def swap(program: Program, kept: Site, ports: list[int], times: int) -> dict[str, int]:
    """So many other configurations, each with a request; what the process then uses."""
    pid = program.trunkline.pid
    for number in range(times):
        other = Site(ports)
        change(other, ports, number)
        program.serve(kept, other)
        assert other.get().status == 200
    program.serve(kept)
    quiet = [fd_count(pid)]

    def settled() -> bool:
        quiet.append(fd_count(pid))
        # Longer than the second between two looks at idle connections.
        return len(quiet) > 120 and len(set(quiet[-120:])) == 1

    # Listing twenty thousand takes a moment.
    wait_until(settled, timeout_s=60, what="descriptors to return")
    return {"bytes": rss_bytes(pid), "files": quiet[-1]}
