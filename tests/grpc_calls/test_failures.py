"""What a gRPC client is told when we answer in a server's place: a status with our reason, no page.

``grpc-message`` is the reason, so a code that grpcio has made up itself, out of an HTTP status or a
content type that it did not understand, would be seen.
"""

from collections.abc import Iterator

import httpx
import pytest

from testkit.faultproxy import Fault, FaultProxy, Then
from testkit.gateway import Gateway
from testkit.grpcclient import Channel, Metadata, Outcome, outcome
from testkit.grpcserver import H2, GrpcServer
from testkit.ports import free_port
from testkit.site import Program, Site
from testkit.site import server as entry
from testkit.upstream import Upstream, answer, response

API = 'prefix = "/kit.Calls"\n'
CONSUMERS = """
[gateway.consumers.alice]
keys = ["alices-own-key"]
[gateway.consumers.bob]
keys = ["bobs-own-key"]
"""
ENDS = [(Then.CUT, "upstream_closed"), (Then.RESET, "upstream_reset")]


def refused(port: int, message: bytes = b"", metadata: Metadata | None = None) -> Outcome:
    """How an ``Echo`` that must fail fails."""
    with Channel(port) as channel:
        return outcome(lambda: channel.echo(message, metadata=metadata))


# --- no server answers ----------------------------------------------------------------------------


def test_no_server(program: Program, server: GrpcServer) -> None:
    site = Site([entry(server.port, weight=0)], pool=H2)
    program.serve(site)
    assert refused(site.port) == Outcome(14, "no_server")
    program.wait_for_failures(site, "no_server", 1)


def test_nobody_listens(program: Program) -> None:
    site = Site([free_port()], pool=H2)
    program.serve(site)
    assert refused(site.port) == Outcome(14, "connect_failed")


@pytest.mark.parametrize(
    ("limit", "reason"),
    [("queue.length = 0", "queue_full"), ('queue.timeout = "50ms"', "queue_timeout")],
)
def test_all_servers_are_busy(
    program: Program, server: GrpcServer, limit: str, reason: str
) -> None:
    site = Site([entry(server.port, max_connections=1)], pool=f"{H2}\n{limit}")
    program.serve(site)
    with Channel(site.port) as channel, channel.talk():
        assert refused(site.port) == Outcome(14, reason)


@pytest.fixture
def faulty(server: GrpcServer) -> Iterator[FaultProxy]:
    """Stands before the shared server."""
    server.forget()
    with FaultProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def risky(program: Program, faulty: FaultProxy) -> Iterator[Channel]:
    """A channel to a site whose server is behind the faulty connection."""
    site = Site([faulty.port], pool=H2)
    program.serve(site)
    with Channel(site.port) as channel:
        channel.echo()
        yield channel


@pytest.mark.parametrize(("end", "reason"), ENDS)
def test_the_server_dies_before_it_answers(
    risky: Channel, faulty: FaultProxy, server: GrpcServer, end: Then, reason: str
) -> None:
    call = risky.one_to_one("Hang").future(b"")
    server.wait_for_call(2)
    faulty.end_connections(end)
    assert outcome(call.result) == Outcome(14, reason)
    assert risky.echo() == b"hello"


@pytest.mark.parametrize(("end", "_"), ENDS)
def test_the_server_dies_in_its_answer(
    risky: Channel, faulty: FaultProxy, end: Then, _: str
) -> None:
    call = risky.one_to_many("Begin")(b"begun")
    assert next(call) == b"begun"
    faulty.end_connections(end)
    assert outcome(lambda: next(call)) == Outcome(14, "response_truncated")
    assert risky.echo() == b"hello"


def test_the_server_dies_within_a_message(risky: Channel, faulty: FaultProxy) -> None:
    """Many calls on one connection: each of them is told."""
    faulty.set_downlink(Fault(then=Then.CUT, after_bytes=2_000))
    calls = [risky.one_to_one("Echo").future(bytes(100_000)) for _ in range(10)]
    failed = [outcome(call.result) for call in calls]
    assert {one.code for one in failed} == {14}
    reasons = {one.message for one in failed}
    assert reasons <= {"response_truncated", "upstream_closed", "upstream_reset"}


# --- refused before a server is asked -------------------------------------------------------------


def test_no_route(program: Program, server: GrpcServer) -> None:
    site = Site([server.port], pool=H2, route='path = "/kit.Calls/Echo"')
    program.serve(site)
    with Channel(site.port) as channel:
        assert channel.echo() == b"hello"
        failed = outcome(lambda: list(channel.one_to_many("Count")(b"1")))
        assert failed == Outcome(12, "route_not_found")
        failed = outcome(lambda: channel.many_to_one("Join")(iter([b"a", b"b"])))
        assert failed == Outcome(12, "route_not_found")


def test_a_method_of_http_that_the_route_does_not_take(
    program: Program, server: GrpcServer
) -> None:
    site = Site([server.port], pool=H2, route='methods = ["GET"]')
    program.serve(site)
    assert refused(site.port) == Outcome(12, "method_not_allowed")


def serve(gateway: Gateway, filters: str) -> int:
    """An API with these filters; its port."""
    gateway.serve({"calls": f"{API}filters = [{filters}]"}, pool=H2, gateway=CONSUMERS)
    return gateway.port


@pytest.mark.parametrize(
    ("filters", "metadata", "expected"),
    [
        ('{ type = "api_key" }', [], Outcome(16, "api_key_missing")),
        ('{ type = "api_key" }', [("x-api-key", "nobodys")], Outcome(16, "api_key_unknown")),
        (
            '{ type = "api_key", consumers = ["alice"] }',
            [("x-api-key", "bobs-own-key")],
            Outcome(7, "consumer_forbidden"),
        ),
        (
            f'{{ type = "jwt", algorithms = ["HS256"], secret = "{"s" * 32}" }}',
            [("authorization", "Bearer a.b.c")],
            Outcome(16, "jwt_malformed"),
        ),
        ('{ type = "ip_access", deny = ["127.0.0.0/8"] }', [], Outcome(7, "ip_denied")),
        ('{ type = "maintenance" }', [], Outcome(14, "maintenance")),
        (
            '{ type = "size_limit", head = "1KB" }',
            [("x-long", "x" * 2_000)],
            Outcome(8, "head_too_large"),
        ),
    ],
    ids=lambda value: value.message if isinstance(value, Outcome) else "",
)
def test_filters(gateway: Gateway, filters: str, metadata: Metadata, expected: Outcome) -> None:
    assert refused(serve(gateway, filters), metadata=metadata) == expected


def test_the_right_key(gateway: Gateway) -> None:
    with Channel(serve(gateway, '{ type = "api_key" }')) as channel:
        assert channel.echo(metadata=[("x-api-key", "alices-own-key")]) == b"hello"


def test_rate_limit(gateway: Gateway) -> None:
    limit = '{ type = "rate_limit", key = "ip", limit = 2, period = "1h" }'
    with Channel(serve(gateway, limit)) as channel:
        assert [channel.echo(), channel.echo()] == [b"hello"] * 2
        assert outcome(channel.echo) == Outcome(8, "rate_limited")


def test_open_breaker(gateway: Gateway) -> None:
    gateway.serve(
        {"calls": f'{API}filters = [{{ type = "circuit_breaker", consecutive_failures = 2 }}]'},
        pool=H2,
        servers=[free_port()],
    )
    with Channel(gateway.port) as channel:
        failed = [outcome(channel.echo) for _ in range(3)]
    assert failed == [Outcome(14, "connect_failed")] * 2 + [Outcome(14, "breaker_open")]


# --- too large ------------------------------------------------------------------------------------


def test_a_message_over_the_limit_of_a_filter(gateway: Gateway) -> None:
    with Channel(serve(gateway, '{ type = "size_limit", body = "1KB" }')) as channel:
        assert channel.echo(bytes(1_000)) == bytes(1_000)
        assert outcome(lambda: channel.echo(bytes(2_000))) == Outcome(8, "body_too_large")
        assert outcome(lambda: channel.echo(bytes(500_000))) == Outcome(8, "body_too_large")


def test_a_stream_over_the_limit_of_the_listener(program: Program, server: GrpcServer) -> None:
    """It counts over the whole call; the messages before the limit were answered."""
    site = Site([server.port], pool=H2, listener='limits.body = "10KB"')
    program.serve(site)
    with Channel(site.port) as channel, channel.talk() as talk:
        for _ in range(5):
            assert talk.say(bytes(2_000)) == bytes(2_000)
        assert outcome(lambda: talk.say(bytes(2_000))) == Outcome(8, "body_too_large")
        failed = outcome(lambda: channel.many_to_one("Join")(iter([bytes(2_000)] * 6)))
        assert failed == Outcome(8, "body_too_large")
        assert channel.echo() == b"hello"


# --- servers that do not speak gRPC ---------------------------------------------------------------


def test_a_grpc_server_in_a_pool_of_http_1(program: Program, server: GrpcServer) -> None:
    site = Site([server.port])
    program.serve(site)
    failed = refused(site.port)
    assert failed.code == 14
    assert program.failures(site, reason=failed.message) == 1


def test_a_server_of_http_1_in_a_pool_of_h2(program: Program) -> None:
    with Upstream() as upstream:
        site = Site([upstream.port], pool=H2)
        program.serve(site)
        failed = refused(site.port)
        assert failed.code == 14
        assert program.failures(site, reason=failed.message) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [("404 Not Found", 12), ("401 Unauthorized", 16), ("503 Service Unavailable", 14)],
)
def test_an_answer_of_http_1_is_the_servers(program: Program, status: str, code: int) -> None:
    """It passes as it is, for grpcio to make what it can of it."""
    page = response(b"<html>no</html>", status, "Content-Type: text/html")
    with Upstream(answer(page)) as upstream:
        site = Site([upstream.port])
        program.serve(site)
        assert refused(site.port).code == code


# --- what it is on the wire -----------------------------------------------------------------------


def test_a_failure_is_a_head_without_a_body(program: Program) -> None:
    site = Site([free_port()], pool=H2)
    program.serve(site)
    sent = {"content-type": "application/grpc+proto", "te": "trailers"}
    with httpx.Client(http1=False, http2=True) as client:
        url = f"http://127.0.0.1:{site.port}/kit.Calls/Echo"
        answer = client.post(url, content=b"\0\0\0\0\0", headers=sent)
    assert (answer.status_code, answer.content) == (200, b"")
    fields = dict(answer.headers)
    assert fields.pop("date")
    assert fields == {
        "content-type": "application/grpc",
        "grpc-status": "14",
        "grpc-message": "connect_failed",
    }
