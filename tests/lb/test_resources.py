"""Limits of the machine: ten thousand connections, no descriptors left, answers nobody takes."""

import json
import resource
import select
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from testkit.client import Client
from testkit.procfs import cpu_seconds, fd_count, rss_bytes
from testkit.site import Program, Site
from testkit.trunkline import Trunkline
from testkit.upstream import OK, Upstream, forever, read_request, response, send
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
ONE_TRY = "retry.attempts = 1"
# Each request needs a descriptor; the first failure of the server would put it out.
NOTHING_KEPT = """
keep_alive.idle = 0
outlier = { consecutive_failures = 1, base_ejection = "5m", max_ejected = 1.0 }
"""
MANY = 10_000
# Of the test's own and of the program, beside the connections.
OTHER_FILES = 500
# Of one core; measured: 0.004 with pauses. An acceptor that spins takes all.
BUSY_SHARE = 0.1


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def many() -> Iterator[int]:
    """How many connections this process may open: ten thousand where the hard limit allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(MANY, hard - OTHER_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_connections(trunkline: Trunkline) -> int:
    return int(trunkline.status()["open_connections"])


def test_ten_thousand_idle_connections(tmp_path: Path, upstream: Upstream, many: int) -> None:
    """What each costs, and that all of it is free for the next ten thousand."""
    site = Site([upstream.port], listener='timeouts.request_head = "1m"')
    with Trunkline(tmp_path, site.config, threads=2) as trunkline:
        wait_until(lambda: open_connections(trunkline) == 0, timeout_s=5, what="silence")
        costs = [cost_bytes(trunkline, site, many) for _ in range(2)]
        assert site.get().status == 200
        log = trunkline.access_log(2 * many + 1)
    # Measured: 1.85 KB for the first ten thousand, of which the next ones need 0.5 KB anew.
    assert costs[0] < 2_048
    assert costs[1] < 1_000
    assert {entry["status"] for entry in log} == {200}


def cost_bytes(trunkline: Trunkline, site: Site, many: int) -> float:
    """Growth of the program per connection, each after one request; all end in the end."""
    pid = trunkline.pid
    files, memory = fd_count(pid), rss_bytes(pid)
    with ExitStack() as stack:
        clients = [stack.enter_context(site.client()) for _ in range(many)]
        wait_until(lambda: open_connections(trunkline) == many, timeout_s=10, what="all of them")
        for client in clients:
            assert client.request(GET).status == 200
        cost = (rss_bytes(pid) - memory) / many
    # One connection to the server stays for each worker.
    wait_until(lambda: fd_count(pid) <= files + 2, timeout_s=10, what="the descriptors to return")
    assert open_connections(trunkline) == 0
    return cost


class Starved:
    """A program with few descriptors; its metrics come over a connection that is there already."""

    def __init__(self, trunkline: Trunkline, site: Site, admin: httpx.Client) -> None:
        self.trunkline = trunkline
        self.site = site
        self._admin = admin

    def failures(self, reason: str) -> float:
        """How often this reason was counted."""
        text = self._admin.get("/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "trunkline_failures_total" and sample.labels["reason"] == reason
        )

    def wait_for_failures(self, reason: str, count: int) -> None:
        """Until this reason was counted so many times."""
        wait_until(lambda: self.failures(reason) >= count, timeout_s=5, what=f"{count} {reason}")

    def recovered(self) -> bool:
        """Whether a new client is served."""
        try:
            return self.site.get().status == 200
        except (TimeoutError, ConnectionError):
            return False


@pytest.fixture
def starved(tmp_path: Path, upstream: Upstream) -> Iterator[Starved]:
    site = Site([upstream.port], route=ONE_TRY, pool=NOTHING_KEPT)
    few = ["prlimit", "--nofile=64"]
    with Trunkline(tmp_path, site.config, command_prefix=few) as trunkline:
        (state_path,) = (tmp_path / "state").iterdir()
        url = json.loads(state_path.read_text())["url"]
        with httpx.Client(base_url=url, trust_env=False) as admin:
            admin.get("/metrics")
            yield Starved(trunkline, site, admin)


@pytest.fixture
def crowd(starved: Starved) -> Iterator[list[Client]]:
    """More clients than descriptors; the first has been served, the last wait in the kernel."""
    with ExitStack() as stack:
        first = stack.enter_context(starved.site.client())
        assert first.request(GET).status == 200
        clients = [first, *(stack.enter_context(starved.site.client()) for _ in range(100))]
        starved.wait_for_failures("accept_out_of_files", 1)
        yield clients


def test_accepting_pauses_without_descriptors(starved: Starved, crowd: list[Client]) -> None:
    """It tries again now and then; it does not spin."""
    pid = starved.trunkline.pid
    assert fd_count(pid) == 64
    failures = starved.failures("accept_out_of_files")
    cpu_s, began_s = cpu_seconds(pid), time.monotonic()
    wait_until(lambda: time.monotonic() > began_s + 0.6, timeout_s=2, what="some pauses")
    assert cpu_seconds(pid) - cpu_s < BUSY_SHARE * (time.monotonic() - began_s)
    # One try in 50 ms.
    tries = starved.failures("accept_out_of_files") - failures
    assert 3 <= tries <= 20


def test_accepting_recovers(starved: Starved, crowd: list[Client]) -> None:
    """Clients that waited are served as soon as others leave; nothing is left over."""
    waiting = crowd[-1]
    waiting.send(GET)
    assert not select.select([waiting.socket], [], [], 0.2)[0]
    for client in crowd[:-1]:
        client.close()
    assert waiting.read_response().status == 200
    waiting.close()
    wait_until(starved.recovered, timeout_s=5, what="service for everybody")
    wait_until(
        lambda: open_connections(starved.trunkline) == 0, timeout_s=5, what="the crowd to be gone"
    )
    assert fd_count(starved.trunkline.pid) < 40
    failures = starved.failures("accept_out_of_files")
    assert all(starved.recovered() for _ in range(20))
    assert starved.failures("accept_out_of_files") == failures


def test_no_descriptor_for_a_server(starved: Starved, crowd: list[Client]) -> None:
    """The request is answered, and the server is not blamed."""
    answer = crowd[0].request(GET)
    assert (answer.status, answer.body) == (503, b'{"error":"out_of_files","status":503}')
    assert answer.value("retry-after") == "1"
    starved.wait_for_failures("out_of_files", 1)
    for client in crowd:
        client.close()
    wait_until(starved.recovered, timeout_s=5, what="recovery")
    refused = [entry for entry in starved.trunkline.access_log(2) if "reason" in entry]
    assert [(entry["status"], entry["reason"]) for entry in refused] == [(503, "out_of_files")]


LIMITED = "limits.connections = 3"


def test_more_connections_than_allowed(program: Program, upstream: Upstream) -> None:
    """The next one waits until one of them ends; nobody is turned away."""
    site = Site([upstream.port], listener=LIMITED)
    program.serve(site)
    with ExitStack() as stack:
        clients = [stack.enter_context(site.client()) for _ in range(5)]
        for client in clients[:3]:
            assert client.request(GET).status == 200
        for client in clients[3:]:
            client.send(GET)
        assert not select.select([client.socket for client in clients[3:]], [], [], 0.2)[0]
        assert (
            program.trunkline.metric("trunkline_connections_open", listener=f"lb.http.{site.name}")
            == 3
        )
        for leaving, waiting in zip(clients[:2], clients[3:], strict=True):
            leaving.close()
            assert waiting.read_response().status == 200
    assert program.failures(site) == 0
    assert [entry["status"] for entry in program.log(site, 5)] == [200] * 5


def ask_until_blocked(client: Client) -> None:
    with suppress(TimeoutError, ConnectionError):
        while True:
            client.send(GET * 100)


@pytest.mark.parametrize("size", [4, 4_000, 400_000])
def test_a_client_that_asks_and_never_reads(
    program: Program, upstream: Upstream, size: int
) -> None:
    """Pipelined requests: their answers fill no memory, the server is not asked on and on."""
    upstream.script([forever(read_request, send(response(b"x" * size)))])
    times = 'timeouts.body_idle = "300ms"\ntimeouts.response_head = "300ms"'
    site = Site([upstream.port], listener='timeouts.body_idle = "300ms"', route=times)
    program.serve(site)
    pid = program.trunkline.pid
    files, memory = fd_count(pid), rss_bytes(pid)
    with site.client(timeout_s=0.2, receive_buffer_bytes=4096) as client:
        ask_until_blocked(client)
        wait_until(
            lambda: program.failures(site, reason="client_stalled") == 1,
            timeout_s=5,
            what="the client to be left",
        )
        assert rss_bytes(pid) - memory < 4_000_000
    assert program.failures(site) == 1
    listener = f"lb.http.{site.name}"
    requests = int(program.trunkline.metric("trunkline_requests_total", listener=listener))
    reasons = [entry.get("reason") for entry in program.log(site, requests)]
    assert reasons == [None] * (requests - 1) + ["client_stalled"]
    wait_until(lambda: fd_count(pid) <= files + 1, timeout_s=5, what="the descriptors to return")
    assert program.servers(site)[0]["active"] == 0
    upstream.script([read_request, send(OK)])
    assert site.get().status == 200
