"""Another server for a call that the first one cannot have answered, and none for any other."""

from collections.abc import Iterator

import pytest

from testkit.faultproxy import FaultProxy, Then
from testkit.grpcclient import Channel, Outcome, outcome
from testkit.grpcserver import H2, GrpcServer
from testkit.ports import free_port
from testkit.site import Program, Site
from testkit.site import server as entry
from testkit.upstream import Script, Upstream, hang, read_head, send
from testkit.waiting import wait_until

# Frames (RFC 9113 §6): what a server has to begin with, and two ways to say that it has not looked
# at stream 1.
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
GOAWAY = b"\0\0\x08\7\0\0\0\0\0" + bytes(8)
REFUSED_STREAM = b"\0\0\4\3\0\0\0\0\1\0\0\0\7"
MAY_BE_REPEATED = 'retry.methods = ["POST"]'


@pytest.fixture
def spare(server: GrpcServer) -> GrpcServer:
    """The shared server, for calls that the first one fails."""
    server.forget()
    return server


@pytest.fixture
def first() -> Iterator[GrpcServer]:
    with GrpcServer(name="first") as running:
        yield running


@pytest.fixture
def faulty(first: GrpcServer) -> Iterator[FaultProxy]:
    """Stands before the first server."""
    with FaultProxy(first.port) as proxy:
        yield proxy


def serve(program: Program, port: int, spare: GrpcServer, route: str = "") -> Site:
    """A site whose second server is asked only if the first one is out or was tried."""
    site = Site([port, entry(spare.port, backup=True)], pool=H2, route=route)
    program.serve(site)
    return site


def test_a_server_that_refuses_connections(program: Program, spare: GrpcServer) -> None:
    with Channel(serve(program, free_port(), spare).port) as channel:
        assert channel.echo() == b"hello"
        assert list(channel.one_to_many("Count")(b"2")) == [b"0", b"1"]
        assert channel.many_to_one("Join")(iter([b"a", b"b"])) == b"ab"
        assert list(channel.many_to_many("Talk")(iter([b"a", b"b"]))) == [b"a", b"b"]


@pytest.mark.parametrize("said", [GOAWAY, REFUSED_STREAM], ids=["goaway", "refused_stream"])
@pytest.mark.parametrize("route", ["", MAY_BE_REPEATED], ids=["", "may_be_repeated"])
def test_a_server_that_has_not_looked(
    program: Program, spare: GrpcServer, said: bytes, route: str
) -> None:
    """To ask another one is safe, whichever methods may be repeated."""
    script: Script = [read_head, send(SETTINGS + said), hang]
    with Upstream(script) as unwilling:
        with Channel(serve(program, unwilling.port, spare, route).port) as channel:
            assert [channel.echo() for _ in range(3)] == [b"hello"] * 3
        assert unwilling.connection_count > 0
        program.serve()


def test_a_server_that_dies_with_a_call(
    program: Program, first: GrpcServer, faulty: FaultProxy, spare: GrpcServer
) -> None:
    """It may have done what it was asked for: nobody else is asked."""
    with Channel(serve(program, faulty.port, spare).port) as channel:
        call = channel.one_to_one("Hang").future(b"")
        first.wait_for_call()
        faulty.end_connections(Then.RESET)
        assert outcome(call.result) == Outcome(14, "upstream_reset")
    assert spare.received == []


def test_a_call_that_may_be_repeated(
    program: Program, first: GrpcServer, faulty: FaultProxy, spare: GrpcServer
) -> None:
    with Channel(serve(program, faulty.port, spare, MAY_BE_REPEATED).port) as channel:
        call = channel.one_to_one("Hang").future(b"")
        first.wait_for_call()
        faulty.end_connections(Then.RESET)
        spare.wait_for_call()
        call.cancel()


def test_an_answer_that_has_begun_is_not_repeated(
    program: Program, faulty: FaultProxy, spare: GrpcServer
) -> None:
    with Channel(serve(program, faulty.port, spare, MAY_BE_REPEATED).port) as channel:
        call = channel.one_to_many("Begin")(b"begun")
        assert next(call) == b"begun"
        faulty.end_connections(Then.RESET)
        assert outcome(lambda: next(call)) == Outcome(14, "response_truncated")
    assert spare.received == []


def test_a_status_is_an_answer(program: Program, first: GrpcServer, spare: GrpcServer) -> None:
    """Also one that asks for another try: that is the client's to decide."""
    with Channel(serve(program, first.port, spare, MAY_BE_REPEATED).port) as channel:
        failed = outcome(lambda: channel.one_to_one("Refuse")(b"UNAVAILABLE"))
    assert failed.code == 14
    assert spare.received == []


def test_a_server_that_says_goodbye(program: Program, first: GrpcServer, spare: GrpcServer) -> None:
    """Its streams go on to their end; new calls go elsewhere, and none of them fails."""
    with Channel(serve(program, first.port, spare).port) as channel, channel.talk() as going_on:
        assert channel.served_by() == "first"
        is_over = first.say_goodbye()
        wait_until(
            lambda: channel.served_by() == "one", timeout_s=10, what="a call at the other server"
        )
        assert going_on.say(b"after") == b"after"
        assert going_on.finish() == []
        assert is_over.wait(10)


def test_a_server_that_takes_few_calls_at_a_time(program: Program) -> None:
    """A server's `MAX_CONCURRENT_STREAMS` makes more connections, not failures."""
    with GrpcServer(at_a_time=2) as busy:
        site = Site([busy.port], pool=H2)
        program.serve(site)
        with Channel(site.port) as channel:
            channel.echo()
            calls = [channel.one_to_many("Begin")(b"begun") for _ in range(9)]
            assert [next(call) for call in calls] == [b"begun"] * 9
            for call in calls:
                call.cancel()
        program.serve()
