"""Calls of all four kinds between grpcio and grpcio, over what either side may speak."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from testkit.certificates import Authority
from testkit.grpcclient import Channel, Outcome, grpc, outcome
from testkit.grpcserver import H2, REFUSAL, GrpcServer
from testkit.site import Program, Site

MB = 1024 * 1024
PATTERN = bytes(range(256)) * 4
SIZES = [0, 1, 16_379, 16_384, 65_535, 300_000, 4 * MB]
EDGES = ["clear", "tls"]


@pytest.fixture(scope="module")
def sites(
    program: Program, server: GrpcServer, authority: Authority
) -> dict[tuple[str, str], Site]:
    """By what is spoken on the client's side, and on the server's."""
    issued = authority.issue("edge", ["127.0.0.1"])
    listener = f'tls = {{ certificate = "{issued.certificate}", key = "{issued.key}" }}'
    listeners = {"clear": "", "tls": listener}
    ports = {"clear": server.port, "tls": server.tls_port}
    pools = {"clear": H2, "tls": f'{H2}\ntls = {{ ca = "{authority.ca}" }}'}
    made = {
        (client, to): Site([ports[to]], listener=listeners[client], pool=pools[to])
        for client, to in product(EDGES, EDGES)
    }
    program.serve(*made.values())
    return made


@pytest.fixture(scope="module", params=product(EDGES, EDGES), ids="-to-".join)
def channel(
    sites: dict[tuple[str, str], Site],
    authority: Authority,
    request: pytest.FixtureRequest,
) -> Iterator[Channel]:
    trust = None if request.param[0] == "clear" else authority.ca
    with Channel(sites[request.param].port, trust) as opened:
        yield opened


def filled(size: int) -> bytes:
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


def test_one_to_one(channel: Channel) -> None:
    for size in SIZES:
        assert channel.echo(filled(size)) == filled(size)


def test_one_to_many(channel: Channel) -> None:
    answers = list(channel.one_to_many("Count")(b"500", timeout=20))
    assert answers == [b"%d" % number for number in range(500)]


def test_many_to_one(channel: Channel) -> None:
    messages = [filled(size) for size in SIZES]
    assert channel.many_to_one("Join")(iter(messages), timeout=20) == b"".join(messages)


def test_many_to_many(channel: Channel) -> None:
    messages = [filled(size) for size in SIZES * 2]
    assert list(channel.many_to_many("Talk")(iter(messages), timeout=20)) == messages


def test_each_message_is_there_before_the_next_one_is_sent(channel: Channel) -> None:
    with channel.talk() as talk:
        for message in (b"%d" % number for number in range(200)):
            assert talk.say(message) == message
        assert talk.finish() == []


def test_metadata(channel: Channel, server: GrpcServer) -> None:
    """Any bytes in those that end with ``-bin``; several of one name, in their order."""
    every_byte = bytes(range(256))
    sent = [
        ("initial-text", "a, b"),
        ("initial-any-bin", every_byte),
        ("trailing-text", "inner  spaces"),
        ("trailing-any-bin", every_byte),
        ("trailing-any-bin", b""),
        ("x-more", "1"),
        ("x-more", "2"),
    ]
    _, call = channel.one_to_one("Echo").with_call(b"", metadata=sent, timeout=20)
    received = server.received[-1].metadata
    assert [pair for pair in received if pair[0].startswith(("initial", "trailing", "x-m"))] == sent
    assert [pair for pair in call.initial_metadata() if pair[0].startswith("initial")] == sent[:2]
    trailing = [pair for pair in call.trailing_metadata() if pair[0].startswith("trailing")]
    assert trailing == sent[2:5]


def test_a_failure_without_messages(channel: Channel) -> None:
    """Trailers-only: its head is all there is of the response."""
    for code in grpc.StatusCode:
        if code is not grpc.StatusCode.OK:
            failed = outcome(lambda: channel.one_to_one("Refuse")(code.name.encode(), timeout=20))  # noqa: B023
            assert failed == Outcome(code.value[0], REFUSAL)


def test_trailing_metadata_of_a_failure_without_messages(channel: Channel) -> None:
    sent = [("trailing-any-bin", b"\0\xff")]
    with pytest.raises(grpc.RpcError) as caught:
        channel.one_to_one("Refuse")(b"NOT_FOUND", metadata=sent, timeout=20)
    assert sent[0] in caught.value.trailing_metadata()


def test_a_failure_after_messages(channel: Channel) -> None:
    call = channel.one_to_many("Break")(b"first", timeout=20)
    assert next(call) == b"first"
    assert outcome(lambda: next(call)) == Outcome(10, REFUSAL)


def test_many_calls_at_once_on_one_channel(channel: Channel) -> None:
    def call(number: int) -> bool:
        message = filled(number * 37)
        if number % 4:
            return channel.echo(message) == message
        return len(list(channel.one_to_many("Count")(b"9", timeout=20))) == 9

    with ThreadPoolExecutor(32) as threads:
        assert all(threads.map(call, range(300)))


def test_compressed_messages(channel: Channel) -> None:
    """By gRPC itself: for us they are bytes."""
    gzip = grpc.Compression.Gzip
    assert channel.echo(filled(300_000), compression=gzip) == filled(300_000)
