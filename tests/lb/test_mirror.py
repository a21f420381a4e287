"""Mirrors: a copy for another pool, which nobody waits for and nothing depends on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from testkit.client import Response
from testkit.gate import Gate, occupy
from testkit.http2_client import Http2Client, head
from testkit.http2_upstream import Http2Upstream
from testkit.ports import free_port
from testkit.site import Program, Site
from testkit.upstream import (
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
from testkit.waiting import wait_until

# Copies that a worker has under way at most (native/crates/engine/src/mirror/mod.rs).
MOST_COPIES = 256


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream([forever(read_request, send(response(b"first")))]) as upstream:
        yield upstream


@pytest.fixture
def second() -> Iterator[Upstream]:
    """The mirror's server."""
    with Upstream([forever(read_request, send(response(b"second")))]) as second:
        yield second


class Mirrored(Site):
    """A site with a mirror."""

    def __init__(
        self,
        port: int,
        mirror_port: int,
        *,
        percent: float = 100,
        route: str = "",
        pool: str = "",
        mirror: str = "",
    ) -> None:
        super().__init__([port])
        name = f"{self.name}-mirror"
        self.change(
            [port],
            route=f'mirror = {{ pool = "{name}", percent = {percent} }}\n{route}',
            pool=f'{pool}\n[lb.pools.{name}]\nservers = ["127.0.0.1:{mirror_port}"]\n{mirror}',
        )

    def counts(self, program: Program) -> dict[str, Any]:
        """What became of the copies, as the status tells."""
        routes = program.trunkline.status()["routes"]
        (route,) = (route for route in routes if route["name"] == f"lb.{self.name}.all")
        counts: dict[str, Any] = route["mirror"]
        return counts

    def wait_for(self, program: Program, outcome: str, count: int) -> None:
        """Until so many copies have ended so."""
        wait_until(
            lambda: self.counts(program)[outcome] >= count, timeout_s=5, what=f"{count} {outcome}"
        )


def serve(program: Program, upstream: Upstream, second: Upstream, **settings: Any) -> Mirrored:
    site = Mirrored(upstream.port, second.port, **settings)
    program.serve(site)
    return site


REQUESTS = {
    "a GET": b"GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nX-A: 1\r\nCookie: a=b\r\n\r\n",
    "a HEAD": b"HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "a POST": b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello",
    "an empty POST": b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n",
}


def ask(site: Site, raw: bytes, method: str = "GET") -> Response:
    with site.client() as client:
        return client.request(raw, method)


@pytest.mark.parametrize("kind", list(REQUESTS))
def test_the_copy_is_what_the_first_gets(
    program: Program, upstream: Upstream, second: Upstream, kind: str
) -> None:
    site = serve(program, upstream, second)
    if kind == "a HEAD":
        for server in (upstream, second):
            server.script([forever(read_request, send(b"HTTP/1.1 200 OK\r\n\r\n"))])
    reply = ask(site, REQUESTS[kind], "HEAD" if kind == "a HEAD" else "GET")
    assert (reply.status, reply.body) == (200, b"" if kind == "a HEAD" else b"first")
    assert second.wait_for_requests(1) == upstream.requests
    site.wait_for(program, "answered", 1)
    assert [entry["status"] for entry in program.log(site)] == [200]


def test_it_is_rewritten_once(program: Program, upstream: Upstream, second: Upstream) -> None:
    rewrite = 'rewrite = { path = "/new", host = "b.example", headers = { add = { X-New = "1" } } }'
    site = serve(program, upstream, second, route=rewrite)
    assert site.get("/old").status == 200
    (copy,) = second.wait_for_requests(1)
    assert copy == upstream.requests[0]
    assert copy.startswith(b"GET /new HTTP/1.1\r\nHost: b.example\r\n")
    assert copy.count(b"x-new: 1\r\n") == 1


@pytest.mark.parametrize("percent", [0, 10, 33.3])
def test_so_many_of_a_hundred(
    program: Program, upstream: Upstream, second: Upstream, percent: float
) -> None:
    site = serve(program, upstream, second, percent=percent)
    with site.client() as client:
        for _ in range(200):
            assert client.request(REQUESTS["a GET"]).status == 200
    expected = 200 * percent / 100
    site.wait_for(program, "answered", int(expected) - 2)
    assert abs(site.counts(program)["answered"] - expected) <= (2 if percent else 0)
    assert len(second.requests) == site.counts(program)["answered"]


BODIES = {
    "large": response(b"x" * 100_000),
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
    "none": b"HTTP/1.1 204 No Content\r\n\r\n",
    "after an interim one": b"HTTP/1.1 103 Early Hints\r\n\r\n" + response(),
    "of an error": response(b"no", "500 Internal Server Error"),
}


@pytest.mark.parametrize("kind", list(BODIES))
def test_connections_are_kept(
    program: Program, upstream: Upstream, second: Upstream, kind: str
) -> None:
    """Whatever the answer's body is."""
    second.script([forever(read_request, send(BODIES[kind]))])
    site = serve(program, upstream, second)
    for count in range(1, 6):
        assert site.get().body == b"first"
        site.wait_for(program, "answered", count)
        # Its connection is back when the next copy goes.
        wait_until(lambda: idle(program, site) == 1, timeout_s=5, what="the connection")
    assert second.connection_count == 1


def idle(program: Program, site: Site) -> int:
    """Connections to the mirror's server that wait for the next copy."""
    _, pools = program.trunkline.admin("GET", "/pools")
    (pool,) = (pool for pool in pools if pool["name"] == f"lb.{site.name}-mirror")
    (told,) = pool["servers"]
    return int(told["idle_connections"])


def test_metrics(program: Program, upstream: Upstream, second: Upstream) -> None:
    site = serve(program, upstream, second)
    for _ in range(3):
        assert site.get().status == 200
    site.wait_for(program, "answered", 3)
    name = f"lb.{site.name}-mirror"
    counted = program.trunkline.metric(
        "trunkline_mirror_copies_total",
        route=f"lb.{site.name}.all",
        pool=name,
        outcome="answered",
    )
    responses = program.trunkline.metric(
        "trunkline_server_responses_total", pool=name, **{"class": "2xx"}
    )
    assert (counted, responses) == (3, 3)
    assert program.trunkline.metric("trunkline_responses_total", route=f"lb.{site.name}.all") == 3


FAULTS: dict[str, Script] = {
    "hangs": [read_request, hang],
    "resets": [read_request, reset],
    "closes": [read_request],
    "talks nonsense": answer(b"nonsense\r\n\r\n"),
    "switches": answer(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\n\r\n"),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_what_the_mirror_does_is_nobodys_business(
    program: Program, upstream: Upstream, second: Upstream, fault: str
) -> None:
    second.script(FAULTS[fault])
    patience = 'timeouts.response_head = "300ms"'
    site = serve(program, upstream, second, route=patience)
    with site.client() as client:
        for _ in range(20):
            assert client.request(REQUESTS["a POST"]).body == b"first"
    site.wait_for(program, "failed", 20)
    assert site.counts(program)["answered"] == 0
    assert program.failures(site) == 0
    entries = program.log(site, 20)
    assert {(entry["status"], entry.get("retries", 0)) for entry in entries} == {(200, 0)}


def test_a_mirror_that_is_not_there(program: Program, upstream: Upstream) -> None:
    site = Mirrored(upstream.port, free_port())
    program.serve(site)
    assert [site.get().status for _ in range(5)] == [200] * 5
    site.wait_for(program, "failed", 5)
    assert program.failures(site) == 0


def test_a_kept_connection_that_had_ended(
    program: Program, upstream: Upstream, second: Upstream
) -> None:
    """Says nothing about the server: the copy goes over a new one."""
    once = answer(response(b"second"))
    second.script(once)
    site = serve(program, upstream, second)
    for count in range(1, 6):
        assert site.get().status == 200
        site.wait_for(program, "answered", count)
    assert site.counts(program)["failed"] == 0


def test_what_it_cannot_take_is_dropped(
    program: Program, upstream: Upstream, second: Upstream
) -> None:
    """So many copies of a worker are under way, and no answer waits for any."""
    second.script([read_request, hang])
    site = serve(program, upstream, second)
    with site.client() as client:
        for _ in range(MOST_COPIES + 44):
            assert client.request(REQUESTS["a GET"]).status == 200
    assert site.counts(program)["dropped"] == 44
    second.wait_for_requests(MOST_COPIES)
    second.script([forever(read_request, send(response()))])
    second.die()
    site.wait_for(program, "failed", MOST_COPIES)
    second.come_back()
    assert site.get().status == 200
    site.wait_for(program, "answered", 1)


def test_the_limit_of_its_pool_holds(
    program: Program, upstream: Upstream, second: Upstream
) -> None:
    second.script([read_request, hang])
    limit = "concurrency = { max = 3, queue = 10 }"
    site = serve(program, upstream, second, mirror=limit)
    for _ in range(10):
        assert site.get().status == 200
    second.wait_for_requests(3)
    assert site.counts(program)["dropped"] == 7
    second.die()
    site.wait_for(program, "failed", 3)


def test_what_was_refused_is_not_copied(
    program: Program, upstream: Upstream, second: Upstream
) -> None:
    gate = Gate()
    upstream.script(gate.script)
    site = serve(program, upstream, second, pool="concurrency = { max = 1 }")
    with ThreadPoolExecutor(1) as threads:
        asked = occupy(threads, site, gate)
        assert site.get().status == 503
        gate.open()
        assert asked.result(5).status == 200
    site.wait_for(program, "answered", 1)
    assert len(second.requests) == 1


def test_a_retry_is_not_copied_again(
    program: Program, upstream: Upstream, second: Upstream
) -> None:
    upstream.script([read_request, reset], [forever(read_request, send(response(b"first")))])
    with Upstream([forever(read_request, send(response(b"first")))]) as other:
        site = Mirrored(upstream.port, second.port)
        ports = f'servers = ["127.0.0.1:{upstream.port}", "127.0.0.1:{other.port}"]'
        site.config = site.config.replace(
            f'servers = [{{ address = "127.0.0.1:{upstream.port}" }}]', ports
        )
        program.serve(site)
        assert [site.get().status for _ in range(4)] == [200] * 4
        site.wait_for(program, "answered", 4)
        assert len(second.requests) == 4


def test_a_body_that_streams_is_not_copied(
    program: Program, upstream: Upstream, second: Upstream
) -> None:
    upstream.script([read_head, send(response(b"first")), hang])
    site = serve(program, upstream, second)
    with site.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        assert client.read_response().body == b"first"
    assert site.counts(program)["skipped"] == 1
    assert second.connection_count == 0


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_was_buffered_is(
    program: Program, upstream: Upstream, second: Upstream, chunked: bool
) -> None:
    site = serve(program, upstream, second, route='buffer_request = "64KB"')
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 40000"
    body = b"x" * 40_000
    with site.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n" % framing)
        client.send(b"9c40\r\n%s\r\n0\r\n\r\n" % body if chunked else body)
        assert client.read_response().body == b"first"
    assert second.wait_for_requests(1) == upstream.requests
    assert upstream.requests[0].endswith(b"\r\n\r\n" + body)


def test_a_call_says_its_length_to_http1(program: Program, second: Upstream) -> None:
    """Servers of HTTP/2 get none; to one of HTTP/1.1 the body would be chunks, and a request."""
    body = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    call = head("POST", "/", ("content-type", "application/grpc"), ("te", "trailers"))
    with Http2Upstream() as upstream:
        buffer, h2 = 'buffer_request = "64KB"', 'protocol = "h2"'
        site = Mirrored(upstream.port, second.port, route=buffer, pool=h2)
        program.serve(site)
        with Http2Client(site.port) as client:
            assert client.request(call, body).status == 200
        names = {name for name, _ in upstream.requests[0].fields}
    assert "content-length" not in names
    site.wait_for(program, "answered", 1)
    (copy,) = second.requests
    lines, _, content = copy.partition(b"\r\n\r\n")
    assert content == body
    assert b"\r\ncontent-length: %d" % len(body) in lines.lower()
    assert b"transfer-encoding" not in lines.lower()


def test_tunnels_are_not_copied(program: Program, upstream: Upstream, second: Upstream) -> None:
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
    upstream.script([read_head, send(switched), hang])
    site = serve(program, upstream, second)
    raw = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
    assert ask(site, raw).status == 101
    assert site.counts(program)["skipped"] == 1


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_over_http2(program: Program, upstream: Upstream, second: Upstream, protocol: str) -> None:
    """The mirror's servers may speak it, too: through another listener of ours."""
    behind = Site([second.port])
    port = behind.port if protocol == "h2" else second.port
    site = Mirrored(upstream.port, port, mirror=f'protocol = "{protocol}"')
    program.serve(site, behind)
    with httpx.Client(http1=False, http2=True, timeout=5) as client:
        url = f"http://127.0.0.1:{site.port}/a"
        replies = [client.get(url, headers={"TE": "trailers"}) for _ in range(5)]
    assert [reply.text for reply in replies] == ["first"] * 5
    site.wait_for(program, "answered", 5)
    for request in second.requests:
        assert request.startswith(b"GET /a HTTP/1.1\r\n")
        assert b"\r\nTE:" not in request


def test_a_response_without_end(program: Program, upstream: Upstream, second: Upstream) -> None:
    """It is thrown away as it comes, while requests go on."""
    endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = b"10000\r\n%s\r\n" % (b"x" * 65_536)
    second.script([read_request, send(endless), forever(send(piece))])
    site = serve(program, upstream, second)
    assert site.get().body == b"first"
    site.wait_for(program, "answered", 1)
    wait_until(lambda: second.open_count == 0, timeout_s=10, what="the connection to be closed")
    assert [site.get().body for _ in range(3)] == [b"first"] * 3


def test_explained(program: Program, upstream: Upstream, second: Upstream) -> None:
    site = serve(program, upstream, second, percent=12.5)
    question = {"url": "/", "listener": f"lb.http.{site.name}"}
    _, told = program.trunkline.admin("POST", "/explain", question)
    assert told["mirror"] == {"pool": f"lb.{site.name}-mirror", "percent": 12.5}
    assert told["pool"] == f"lb.{site.name}"


def test_counts_last_over_a_reload(program: Program, upstream: Upstream, second: Upstream) -> None:
    site = serve(program, upstream, second)
    assert site.get().status == 200
    site.wait_for(program, "answered", 1)
    program.serve(site, Site([upstream.port]))
    assert site.counts(program)["answered"] == 1
