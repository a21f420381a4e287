"""How connections live: kept on both sides, pipelined, half-closed, ended; HTTP/1.0 clients."""

import asyncio
from threading import Event

import pytest

from testkit.client import Client
from testkit.upstream import (
    OK,
    WELL_BEHAVED,
    Connection,
    Upstream,
    answer,
    forever,
    half_close,
    hang,
    read_request,
    response,
    send,
)
from testkit.waiting import wait_until
from vectors.http1_row import CHUNKED_HELLO, GET, chunked, get, post

HTTP10 = b"GET / HTTP/1.0\r\nHost: test\r\n\r\n"
HTTP10_KEEP_ALIVE = b"GET / HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n"


def numbered(path: int, method: str = "GET") -> bytes:
    return f"{method} /{path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()


def paths(upstream: Upstream) -> list[bytes]:
    return [request.split(b" ")[1] for request in upstream.requests]


def test_many_requests_share_one_connection_on_both_sides(
    client: Client, upstream: Upstream
) -> None:
    for _ in range(20):
        reply = client.request(GET)
        assert (reply.status, reply.body) == (200, b"ok")
        assert reply.values("Connection") == []
    assert len(upstream.requests) == 20
    assert upstream.connection_count == 1


def test_clients_one_after_another_share_a_server_connection(
    ports: dict[str, int], upstream: Upstream
) -> None:
    for _ in range(5):
        with Client(ports["plain"]) as client:
            assert client.request(GET).body == b"ok"
    assert upstream.connection_count == 1


def test_clients_at_the_same_time_do_not_share(ports: dict[str, int], upstream: Upstream) -> None:
    with Client(ports["plain"]) as first, Client(ports["plain"]) as second:
        upstream.script([read_request, hang], WELL_BEHAVED)
        first.send(GET)
        upstream.wait_for_requests(1)
        assert second.request(GET).body == b"ok"
    assert upstream.connection_count == 2


def test_client_that_asks_for_close_gets_it(client: Client, upstream: Upstream) -> None:
    assert client.request(get(b"Connection: close")).value("Connection") == "close"
    assert client.is_closed()
    assert b"onnection" not in upstream.requests[0]


def test_close_of_the_server_is_not_the_clients(client: Client, upstream: Upstream) -> None:
    upstream.script(answer(response(b"ok", "200 OK", "Connection: close")))
    for _ in range(3):
        reply = client.request(GET)
        assert (reply.body, reply.values("Connection")) == (b"ok", [])
    assert upstream.connection_count == 3


def test_server_connection_that_closed_while_idle_is_replaced(
    client: Client, upstream: Upstream
) -> None:
    upstream.script(answer(OK))
    for _ in range(3):
        assert client.request(GET).body == b"ok"
        wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the server to close")
    assert upstream.connection_count == 3


def test_http10_server_closes_unless_it_says_otherwise(client: Client, upstream: Upstream) -> None:
    plain = b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"
    keeping = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
    script = [forever(read_request, send(keeping), read_request, send(plain))]
    upstream.script(script)
    for _ in range(4):
        assert client.request(GET).body == b"ok"
    assert upstream.connection_count == 2


def test_limit_of_requests_per_connection(ports: dict[str, int], upstream: Upstream) -> None:
    with Client(ports["brief"]) as client:
        assert client.request(GET).values("Connection") == []
        assert client.request(GET).value("Connection") == "close"
        assert client.is_closed()


def test_last_answer_arrives_in_spite_of_requests_behind_it(
    ports: dict[str, int], upstream: Upstream
) -> None:
    """RFC 9112 §9.6: a close with unread bytes would be a reset, which destroys the answer."""
    asked_again = Event()

    async def until_asked_again(_: Connection) -> None:
        await asyncio.to_thread(asked_again.wait, 10)

    large = response(bytes(5_000))
    upstream.script([read_request, send(OK), read_request, until_asked_again, send(large)])
    with Client(ports["brief"]) as client:
        assert client.request(GET).status == 200
        client.send(GET)
        upstream.wait_for_requests(2)
        client.send(GET)
        asked_again.set()
        assert client.read_until_close().endswith(bytes(5_000))
    assert len(upstream.requests) == 2


def test_pipelined_requests_are_answered_in_order(client: Client, upstream: Upstream) -> None:
    replies = [send(response(str(number).encode())) for number in range(10)]
    script = [step for reply in replies for step in (read_request, reply)]
    upstream.script(script)
    client.send(b"".join(numbered(number) for number in range(10)))
    assert [client.read_response().body for _ in range(10)] == [b"%d" % n for n in range(10)]
    assert paths(upstream) == [b"/%d" % n for n in range(10)]


def test_pipelined_bodies_of_all_kinds(client: Client, upstream: Upstream) -> None:
    requests = [
        post(b"Content-Length: 5"),
        chunked(CHUNKED_HELLO),
        numbered(2, "HEAD"),
        chunked(b"5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
        GET,
    ]
    client.send(b"".join(requests))
    replies = [client.read_response(method) for method in ("POST", "POST", "HEAD", "POST", "GET")]
    assert [reply.body for reply in replies] == [b"ok", b"ok", b"", b"ok", b"ok"]
    assert len(upstream.requests) == len(requests)


def test_nothing_after_close_is_served(client: Client, upstream: Upstream) -> None:
    client.send(get(b"Connection: close") + numbered(2))
    assert client.read_response().status == 200
    assert client.is_closed()
    assert paths(upstream) == [b"/"]


def test_client_that_will_send_no_more_gets_its_answers(client: Client, upstream: Upstream) -> None:
    client.send(GET + GET)
    client.half_close()
    assert [client.read_response().body for _ in range(2)] == [b"ok", b"ok"]
    assert client.is_closed()


def test_client_that_ends_within_its_body_is_given_up(client: Client, upstream: Upstream) -> None:
    client.send(post(b"Content-Length: 9", body=b"hello"))
    wait_until(lambda: upstream.open_count == 1, timeout_s=5, what="the request at the server")
    client.half_close()
    assert client.is_closed()
    wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the server to be told")
    assert upstream.requests == []


def test_server_that_will_send_no_more_still_answers(client: Client, upstream: Upstream) -> None:
    upstream.script([read_request, send(OK), half_close, hang])
    for _ in range(3):
        assert client.request(GET).body == b"ok"
    assert upstream.connection_count == 3


def test_http10_client_is_closed_after_its_answer(client: Client, upstream: Upstream) -> None:
    reply = client.request(HTTP10)
    assert (reply.body, reply.value("Connection")) == (b"ok", "close")
    assert client.is_closed()
    assert upstream.requests[0].startswith(b"GET / HTTP/1.1\r\nHost: test\r\n")


def test_http10_client_may_keep_its_connection(client: Client, upstream: Upstream) -> None:
    for _ in range(3):
        reply = client.request(HTTP10_KEEP_ALIVE)
        assert (reply.body, reply.value("Connection")) == (b"ok", "keep-alive")
    assert upstream.connection_count == 1


def test_http10_client_without_host(client: Client, upstream: Upstream) -> None:
    assert client.request(b"GET / HTTP/1.0\r\n\r\n").body == b"ok"
    assert b"\r\nHost: " in upstream.requests[0]


def test_http10_client_gets_no_chunks(client: Client, upstream: Upstream) -> None:
    body = b"5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n"
    upstream.script(answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body))
    reply = client.request(HTTP10_KEEP_ALIVE)
    assert reply.values("Transfer-Encoding") == reply.values("Content-Length") == []
    # Without a length the end of the connection is the end of the body.
    assert (reply.body, reply.value("Connection")) == (b"hello world", "close")


def test_http10_client_gets_no_interim_responses(client: Client, upstream: Upstream) -> None:
    upstream.script(answer(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK))
    assert client.request(HTTP10).status == 200


def test_http10_client_is_not_tunnelled(client: Client, upstream: Upstream) -> None:
    upgrade = b"GET / HTTP/1.0\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    assert client.request(upgrade).body == b"ok"
    assert b"pgrade" not in upstream.requests[0]


@pytest.mark.parametrize("size", [20_000, 100_000, 1_000_000])
def test_connection_is_kept_after_a_body_in_pieces(
    size: int, client: Client, upstream: Upstream
) -> None:
    upstream.script([forever(read_request, send(response(bytes(size))))])
    for _ in range(5):
        assert len(client.request(GET).body) == size
    assert upstream.connection_count == 1


def test_connection_is_kept_after_head_and_body_apart(client: Client, upstream: Upstream) -> None:
    """Most servers write them one after the other."""
    head, body = OK[:-2], OK[-2:]
    upstream.script([forever(read_request, send(head), send(body))])
    for _ in range(100):
        assert client.request(GET).body == b"ok"
    assert upstream.connection_count == 1


def test_only_server_that_refuses(client: Client, upstream: Upstream) -> None:
    upstream.die()
    reply = client.request(GET)
    assert (reply.status, reply.value("X-Trunkline-Reason")) == (502, "connect_failed")


def test_only_server_that_hangs_up(client: Client, upstream: Upstream) -> None:
    upstream.script([read_request])
    reply = client.request(GET)
    assert (reply.status, reply.value("X-Trunkline-Reason")) == (502, "upstream_closed")
