"""A client that gives a call up: its server must learn of it, and nothing else may suffer."""

import pytest

from testkit.grpcclient import Channel, grpc, messages_to_send
from testkit.grpcserver import GrpcServer
from testkit.site import Site


@pytest.fixture(autouse=True)
def new_records(server: GrpcServer) -> None:
    server.forget()


def test_before_the_answer(channel: Channel, server: GrpcServer) -> None:
    call = channel.one_to_one("Hang").future(b"")
    server.wait_for_call()
    call.cancel()
    assert call.code() is grpc.StatusCode.CANCELLED
    assert server.wait_for_end() == ["Hang"]


def test_within_a_stream_of_answers(channel: Channel, server: GrpcServer) -> None:
    call = channel.one_to_many("Begin")(b"begun")
    assert next(call) == b"begun"
    call.cancel()
    assert server.wait_for_end() == ["Begin"]


def test_within_a_stream_both_ways(channel: Channel, server: GrpcServer) -> None:
    with channel.talk() as talk:
        talk.call.cancel()
        assert server.wait_for_end() == ["Talk"]


def test_within_a_stream_of_requests(channel: Channel, server: GrpcServer) -> None:
    """The server has given no answer yet."""
    with messages_to_send() as queue:
        queue.put(b"one")
        call = channel.many_to_one("Join").future(iter(queue.get, None))
        server.wait_for_call()
        call.cancel()
        assert server.wait_for_end() == ["Join"]


def test_others_on_the_connection_go_on(channel: Channel, server: GrpcServer) -> None:
    with channel.talk() as going_on:
        calls = [channel.one_to_many("Begin")(b"begun") for _ in range(20)]
        assert [next(call) for call in calls] == [b"begun"] * 20
        for call in calls:
            call.cancel()
        server.wait_for_end(20)
        assert going_on.say(b"after") == b"after"


def test_a_client_that_goes_away(site: Site, server: GrpcServer) -> None:
    with Channel(site.port) as leaving:
        call = leaving.one_to_many("Begin")(b"begun")
        assert next(call) == b"begun"
    assert server.wait_for_end() == ["Begin"]
