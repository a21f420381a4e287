"""The scripted upstream does what its scripts say and records what it was asked."""

import pytest

from testkit.client import BadResponseError, Client
from testkit.upstream import (
    OK,
    Upstream,
    answer,
    half_close,
    hang,
    read_head,
    read_request,
    reset,
    response,
    send,
    send_slowly,
)

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def test_answers_and_records_requests_on_one_connection() -> None:
    with Upstream() as upstream, Client(upstream.port) as client:
        post = b"POST /a HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc"
        chunked = (
            b"POST /b HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"
        )
        for raw in (GET, post, chunked, GET):
            assert client.request(raw).body == b"ok"
        assert upstream.requests == [GET, post, chunked, GET]
        assert upstream.connection_count == 1


def test_scripts_are_taken_in_order_and_the_last_one_stays() -> None:
    first, second = response(b"first"), response(b"second")
    with Upstream(answer(first), answer(second)) as upstream:
        bodies = []
        for _ in range(3):
            with Client(upstream.port) as client:
                bodies.append(client.request(GET).body)
                assert client.is_closed()
        assert bodies == [b"first", b"second", b"second"]


def test_hang_stays_silent_and_open() -> None:
    with Upstream([read_request, hang]) as upstream, Client(upstream.port, timeout_s=0.2) as client:
        with pytest.raises(TimeoutError):
            client.request(GET)
        assert upstream.open_count == 1


def test_reset_before_the_head() -> None:
    with Upstream([read_head, reset]) as upstream, Client(upstream.port) as client:
        client.send(GET)
        with pytest.raises(ConnectionResetError):
            client.read_response()


def test_too_little_body() -> None:
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
    with (
        Upstream(answer(short)) as upstream,
        Client(upstream.port) as client,
        pytest.raises(BadResponseError, match="3 of 9"),
    ):
        client.request(GET)


def test_slow_bytes_arrive_whole() -> None:
    script = [read_request, send_slowly(OK, piece_bytes=1, interval_s=0.001)]
    with Upstream(script) as upstream, Client(upstream.port) as client:
        assert client.request(GET).body == b"ok"


def test_half_close_still_reads() -> None:
    script = [send(OK), half_close, read_request]
    with Upstream(script) as upstream, Client(upstream.port) as client:
        assert client.read_until_close() == OK
        client.send(GET)
        assert upstream.wait_for_requests(1) == [GET]


def test_dies_and_comes_back_on_the_same_port() -> None:
    with Upstream() as upstream, Client(upstream.port) as client:
        client.request(GET)
        upstream.die()
        assert client.is_closed()
        with pytest.raises(ConnectionRefusedError):
            Client(upstream.port)
        upstream.come_back()
        with Client(upstream.port) as again:
            assert again.request(GET).status == 200
