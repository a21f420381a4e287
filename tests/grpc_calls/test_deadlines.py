"""How long a call may take: what the client gives it, ``grpc-timeout``, and the route's own total.

grpcio ends its calls itself at their deadline, which would prove nothing. Here its calls have none,
and ``grpc-timeout`` is metadata, so whoever ends them is on the way. The server of most tests does
not see it either: the time is up for us alone.
"""

import time
from collections.abc import Callable

import pytest

from testkit.grpcclient import Channel, Metadata, Outcome, messages_to_send, outcome
from testkit.grpcserver import H2, GrpcServer
from testkit.site import Program, Site

BEGUN = b"begun"
HIDDEN = 'rewrite.headers.remove = ["grpc-timeout"]\n'
LATE = Outcome(4, "total_timeout")
# More than 300 ms, far less than the times that must not count.
SOON_S = 5
YEAR_S = 365 * 86_400


def given(timeout: str) -> Metadata:
    return [("grpc-timeout", timeout)]


@pytest.fixture
def hanging(program: Program, server: GrpcServer) -> Callable[[str], Site]:
    """A site that is told these keys of its route."""

    def serve(route: str) -> Site:
        site = Site([server.port], pool=H2, route=HIDDEN + route)
        program.serve(site)
        server.forget()
        return site

    return serve


@pytest.mark.parametrize(
    ("route", "timeout"),
    [
        ("", "300m"),
        ('timeouts.total = "30s"', "300m"),
        ('timeouts.total = "300ms"', "30S"),
        ('timeouts.total = "300ms"', "1H"),
        ("", "300000u"),
        ("", "00000300m"),
        ("", "299999999n"),
    ],
)
def test_the_shorter_time_counts(
    hanging: Callable[[str], Site], server: GrpcServer, route: str, timeout: str
) -> None:
    with Channel(hanging(route).port) as channel:
        channel.echo()
        started = time.monotonic()
        failed = outcome(lambda: channel.one_to_one("Hang")(b"", metadata=given(timeout)))
        took = time.monotonic() - started
        assert failed == LATE
        assert 0.3 <= took < SOON_S
        assert server.wait_for_end() == ["Hang"]


def test_a_time_without_sense_is_none(hanging: Callable[[str], Site]) -> None:
    """`PROTOCOL-HTTP2.md` has 1 to 8 digits and a unit; what else comes is not guessed."""
    with Channel(hanging("").port) as channel:
        for timeout in ("1", "1s", "-1S", "1.5S", "123456789n", "m"):
            assert channel.echo(metadata=given(timeout)) == b"hello"


def test_no_time_at_all(hanging: Callable[[str], Site]) -> None:
    with Channel(hanging("").port) as channel:
        channel.echo()
        assert outcome(lambda: channel.one_to_one("Hang")(b"", metadata=given("0n"))) == LATE


def test_within_a_stream(hanging: Callable[[str], Site], server: GrpcServer) -> None:
    """What has come is the client's; then its trailers say that the time is up."""
    with Channel(hanging("").port) as channel:
        call = channel.one_to_many("Begin")(BEGUN, metadata=given("400m"))
        assert next(call) == BEGUN
        assert outcome(lambda: next(call)) == LATE
        assert server.wait_for_end() == ["Begin"]


def test_while_the_client_still_sends(hanging: Callable[[str], Site], server: GrpcServer) -> None:
    with Channel(hanging('timeouts.total = "400ms"').port) as channel, messages_to_send() as queue:
        with channel.talk() as talk:
            assert outcome(lambda: next(talk.call)) == LATE
        queue.put(b"one")
        call = channel.many_to_one("Join").future(iter(queue.get, None))
        assert outcome(call.result) == LATE
        assert server.wait_for_end(2) == ["Talk", "Join"]


def test_a_call_that_is_quick_enough(hanging: Callable[[str], Site]) -> None:
    with Channel(hanging('timeouts.total = "20s"').port) as channel:
        assert channel.echo(metadata=given("20S")) == b"hello"
        assert list(channel.one_to_many("Count")(b"3", metadata=given("20S"))) == [b"0", b"1", b"2"]


def test_a_server_that_says_nothing_for_too_long(hanging: Callable[[str], Site]) -> None:
    with Channel(hanging('timeouts.response_head = "200ms"').port) as channel:
        failed = outcome(lambda: channel.one_to_one("Hang")(b""))
        assert failed == Outcome(4, "response_timeout")
    with Channel(hanging('timeouts.body_idle = "200ms"').port) as channel:
        call = channel.one_to_many("Begin")(BEGUN)
        assert next(call) == BEGUN
        assert outcome(lambda: next(call)) == Outcome(4, "response_stalled")


def test_the_server_knows_the_clients_deadline(channel: Channel, server: GrpcServer) -> None:
    """And, seeing it as well, ends the call by itself."""
    channel.echo(timeout=15)
    # grpcio rounds up to tenths of a second, and more for longer times.
    assert 5 < server.received[-1].remaining_s < 16
    channel.one_to_one("Echo")(b"")
    assert server.received[-1].remaining_s > YEAR_S


def test_the_clients_own_end(channel: Channel, server: GrpcServer) -> None:
    server.forget()
    failed = outcome(lambda: channel.one_to_one("Hang")(b"", timeout=0.3))
    assert failed.code == 4
    assert server.wait_for_end() == ["Hang"]


def test_a_deadline_on_the_way_is_counted(hanging: Callable[[str], Site], program: Program) -> None:
    site = hanging("")
    with Channel(site.port) as channel:
        outcome(lambda: channel.one_to_one("Hang")(b"", metadata=given("50m")))
    program.wait_for_failures(site, "total_timeout", 1)
    (line,) = program.log(site)
    assert (line["reason"], line["path"]) == ("total_timeout", "/kit.Calls/Hang")


def test_a_clients_own_time_says_nothing_of_a_server(program: Program, server: GrpcServer) -> None:
    """However short it is: else any client could have it ejected."""
    out = 'outlier = { consecutive_failures = 2, base_ejection = "30s" }'
    site = Site([server.port], pool=f"{H2}\n{out}", route=HIDDEN)
    program.serve(site)
    with Channel(site.port) as channel:
        for _ in range(4):
            failed = outcome(lambda: channel.one_to_one("Hang")(b"", metadata=given("1n")))
            assert failed == LATE
        program.wait_for_failures(site, "total_timeout", 4)
        assert program.blamed(site, "total_timeout") == "client"
        (told,) = program.servers(site)
        assert (told["state"], told["failures"]) == ("eligible", 0)
        assert channel.echo() == b"hello"


def test_the_routes_time_does(
    hanging: Callable[[str], Site], program: Program, server: GrpcServer
) -> None:
    site = hanging('timeouts.total = "100ms"')
    with Channel(site.port) as channel:
        assert outcome(lambda: channel.one_to_one("Hang")(b"", metadata=given("1H"))) == LATE
    program.wait_for_failures(site, "total_timeout")
    assert program.blamed(site, "total_timeout") == "upstream"
    assert program.servers(site)[0]["failures"] == 1
