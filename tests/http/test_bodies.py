"""Bodies both ways: by length, in chunks, none at all, with trailers.

And what depends on them: interim responses, expectations, answers that come early.
"""

import socket

import pytest

from testkit.client import BadResponseError, Client
from testkit.upstream import (
    OK,
    Connection,
    Step,
    Upstream,
    answer,
    half_close,
    hang,
    read_head,
    read_request,
    response,
    send,
)
from testkit.waiting import wait_until
from vectors.http1_row import CHUNKED_HELLO, GET, chunked, post

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
EXPECTING = post(b"Expect: 100-continue", b"Content-Length: 5", body=b"")
EXPECTING_CHUNKS = post(b"Expect: 100-continue", b"Transfer-Encoding: chunked", body=b"")
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LARGE_BODY = bytes(range(256)) * 8 * 1024
# Around the proxy's buffers of 16 KB and 64 KB.
SIZES = [1, 5, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, len(LARGE_BODY)]


def parts(request: bytes) -> tuple[list[bytes], bytes]:
    """The lines of the head, the body."""
    head, _, body = request.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


def dechunk(body: bytes) -> tuple[bytes, bytes]:
    """Content and trailers of a chunked body as an upstream received it."""
    content = b""
    while True:
        line, _, body = body.partition(b"\r\n")
        size = int(line, 16)
        if size == 0:
            return content, body
        assert body[size : size + 2] == b"\r\n"
        content, body = content + body[:size], body[size + 2 :]


def exactly(size: int) -> Step:
    """Wait for so many more bytes."""

    async def step(connection: Connection) -> None:
        await connection.reader.readexactly(size)

    return step


@pytest.mark.parametrize("size", SIZES)
def test_request_body_by_length(size: int, client: Client, upstream: Upstream) -> None:
    body = LARGE_BODY[:size]
    assert client.request(post(b"Content-Length: %d" % size, body=body)).body == b"ok"
    lines, received = parts(upstream.requests[0])
    assert received == body
    assert b"Content-Length: %d" % size in lines


@pytest.mark.parametrize("size", SIZES)
def test_request_body_in_chunks(size: int, client: Client, upstream: Upstream) -> None:
    body = LARGE_BODY[:size]
    assert client.request(chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (size, body))).body == b"ok"
    lines, received = parts(upstream.requests[0])
    assert dechunk(received) == (body, b"\r\n")
    assert b"Transfer-Encoding: chunked" in lines


@pytest.mark.parametrize("size", [0, *SIZES])
def test_response_body_by_length(size: int, client: Client, upstream: Upstream) -> None:
    upstream.script(answer(response(LARGE_BODY[:size])))
    reply = client.request(GET)
    assert reply.body == LARGE_BODY[:size]
    assert reply.value("Content-Length") == str(size)


@pytest.mark.parametrize("size", SIZES)
def test_response_body_in_chunks(size: int, client: Client, upstream: Upstream) -> None:
    upstream.script(answer(CHUNKED_HEAD + b"%x\r\n%s\r\n0\r\n\r\n" % (size, LARGE_BODY[:size])))
    reply = client.request(GET)
    assert reply.body == LARGE_BODY[:size]
    assert reply.value("Transfer-Encoding") == "chunked"


def test_response_body_until_close_goes_out_in_chunks(client: Client, upstream: Upstream) -> None:
    upstream.script(answer(b"HTTP/1.1 200 OK\r\n\r\n" + LARGE_BODY), answer(OK))
    reply = client.request(GET)
    assert reply.body == LARGE_BODY
    assert reply.value("Transfer-Encoding") == "chunked"
    assert client.request(GET).body == b"ok"


def test_body_of_a_get_is_passed_on(client: Client, upstream: Upstream) -> None:
    raw = b"GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"
    assert client.request(raw).body == b"ok"
    assert parts(upstream.requests[0])[1] == b"hello"


def test_chunk_extensions_end_at_the_proxy(client: Client, upstream: Upstream) -> None:
    upstream.script(answer(CHUNKED_HEAD + b"5;a=b\r\nhello\r\n0;c\r\n\r\n"))
    client.send(chunked(b'5;name="x;y"\r\nhello\r\n0;last\r\n\r\n'))
    assert client.read_response().body == b"hello"
    assert b";" not in parts(upstream.requests[0])[1]


def test_trailers_pass_both_ways(client: Client, upstream: Upstream) -> None:
    body = b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n"
    upstream.script(answer(CHUNKED_HEAD + body))
    reply = client.request(chunked(body))
    assert reply.trailers == [("x-sum", "1"), ("x-other", "2")]
    assert dechunk(parts(upstream.requests[0])[1])[1] == b"X-Sum: 1\r\nX-Other: 2\r\n\r\n"


LATE_FIELDS = [
    "Host: evil",
    "Content-Length: 9",
    "Transfer-Encoding: chunked",
    "Connection: close",
    "Authorization: x",
    "Set-Cookie: a=b",
    "X-Forwarded-For: 1.2.3.4",
    "Via: 1.1 x",
]


@pytest.mark.parametrize("field", LATE_FIELDS)
def test_trailers_that_must_not_come_late_are_left_out(
    field: str, client: Client, upstream: Upstream
) -> None:
    body = f"5\r\nhello\r\n0\r\n{field}\r\nX-Sum: 1\r\n\r\n".encode()
    upstream.script(answer(CHUNKED_HEAD + body))
    assert client.request(chunked(body)).trailers == [("x-sum", "1")]
    assert dechunk(parts(upstream.requests[0])[1])[1] == b"X-Sum: 1\r\n\r\n"


def test_a_connection_over_which_trailers_went_is_not_used_again(
    client: Client, upstream: Upstream
) -> None:
    body = b"5\r\nhello\r\n0\r\n%s\r\n"
    for trailers, connections in (
        (b"", 1),
        (b"Trailer: none\r\n", 1),
        (b"X-Sum: 1\r\n", 1),
        (b"", 2),
    ):
        assert client.request(chunked(body % trailers)).status == 200
        assert upstream.connection_count == connections


def test_trailers_bring_no_removed_field_back(ports: dict[str, int], upstream: Upstream) -> None:
    """RFC 9110 §6.5.1: a server may merge them into the headers."""
    with Client(ports["strict"]) as client:
        body = b"5\r\nhello\r\n0\r\nX-Admin: 1\r\n\r\n"
        raw = post(b"X-Admin: 1", b"Transfer-Encoding: chunked", body=body)
        assert client.request(raw).status == 200
    assert dechunk(parts(upstream.requests[0])[1])[0] == b"hello"
    assert b"X-Admin" not in upstream.requests[0]


@pytest.mark.parametrize(
    ("method", "status_line"),
    [("HEAD", "200 OK"), ("HEAD", "404 Not Found"), ("GET", "304 Not Modified")],
)
def test_length_without_a_body_is_told(
    method: str, status_line: str, client: Client, upstream: Upstream
) -> None:
    head = f"HTTP/1.1 {status_line}\r\nContent-Length: 5\r\n\r\n".encode()
    upstream.script([read_request, send(head), read_request, send(OK)])
    reply = client.request(f"{method} / HTTP/1.1\r\nHost: test\r\n\r\n".encode(), method)
    assert (reply.body, reply.value("Content-Length")) == (b"", "5")
    assert client.request(GET).body == b"ok"
    assert upstream.connection_count == 1


def test_204_has_no_body(client: Client, upstream: Upstream) -> None:
    upstream.script(
        [read_request, send(b"HTTP/1.1 204 No Content\r\n\r\n"), read_request, send(OK)]
    )
    reply = client.request(GET)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.values("Content-Length") == reply.values("Transfer-Encoding") == []
    assert client.request(GET).body == b"ok"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_own_answers_to_head_have_no_body(method: str, ports: dict[str, int]) -> None:
    """Nobody listens behind the proxy: it answers itself."""
    with Client(ports["once"]) as client:
        for _ in range(2):
            reply = client.request(f"{method} / HTTP/1.1\r\nHost: test\r\n\r\n".encode(), method)
            assert reply.status == 502
            assert (reply.body == b"") == (method == "HEAD")


@pytest.mark.parametrize("head", [EXPECTING, EXPECTING_CHUNKS], ids=["length", "chunks"])
def test_expectation_is_the_servers_to_meet(
    head: bytes, client: Client, upstream: Upstream
) -> None:
    body = b"hello" if head is EXPECTING else CHUNKED_HELLO
    upstream.script([read_head, send(CONTINUE), exactly(len(body)), send(OK)])
    client.send(head)
    assert client.read_response().status == 100
    assert client.request(body).body == b"ok"
    assert b"Expect: 100-continue" in parts(upstream.requests[0])[0]


def test_expectation_may_be_turned_down(client: Client, upstream: Upstream) -> None:
    upstream.script([read_head, send(response(b"no", "417 Expectation Failed")), hang])
    reply = client.request(EXPECTING)
    assert (reply.status, reply.body) == (417, b"no")
    # Whether the body will come is not known, so nothing else can on this connection.
    assert client.is_closed()


def test_expectation_that_the_client_does_not_wait_for(client: Client, upstream: Upstream) -> None:
    upstream.script([read_request, send(CONTINUE + OK)])
    client.send(EXPECTING + b"hello")
    assert [client.read_response().status for _ in range(2)] == [100, 200]
    assert parts(upstream.requests[0])[1] == b"hello"


def test_expectation_without_a_body_goes_no_further(client: Client, upstream: Upstream) -> None:
    assert client.request(post(b"Expect: 100-continue", body=b"")).body == b"ok"
    assert b"Expect" not in upstream.requests[0]


def test_interim_responses_pass_one_by_one(client: Client, upstream: Upstream) -> None:
    upstream.script([read_request, send(EARLY_HINTS), send(EARLY_HINTS + OK)])
    client.send(GET)
    replies = [client.read_response() for _ in range(3)]
    assert [reply.status for reply in replies] == [103, 103, 200]
    assert replies[0].value("Link") == "</a.css>; rel=preload"


def test_interim_response_does_not_wait_for_the_final_one(
    client: Client, upstream: Upstream
) -> None:
    upstream.script([read_request, send(EARLY_HINTS), hang])
    client.send(GET)
    assert client.read_response().status == 103


@pytest.mark.parametrize(
    ("head", "more"),
    [(post(b"Content-Length: 9", body=b"hell"), b"o"), (chunked(b"5\r\nhel"), b"l")],
    ids=["length", "chunks"],
)
def test_answer_before_the_body_is_complete(
    head: bytes, more: bytes, client: Client, upstream: Upstream
) -> None:
    upstream.script([read_head, send(response(b"enough", "413 Content Too Large")), hang])
    reply = client.request(head)
    assert (reply.status, reply.body) == (413, b"enough")
    client.send(more)
    assert client.is_closed()
    wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the server to be told")


def test_answer_that_begins_before_the_body_is_complete(client: Client, upstream: Upstream) -> None:
    """A service that answers while it reads: both bodies are on their way at the same time."""
    begin = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst"
    upstream.script([read_head, exactly(2), send(begin), exactly(3), send(b"later")])
    client.send(post(b"Content-Length: 5", body=b"he"))
    wait_until(
        lambda: client.socket.recv(1, socket.MSG_PEEK) == b"H",
        timeout_s=5,
        what="the answer's head",
    )
    answer = client.request(b"llo")
    assert (answer.body, answer.value("Connection")) == (b"firstlater", "close")


def test_server_that_refuses_and_hangs_up(client: Client, upstream: Upstream) -> None:
    refusal = response(b"no", "403 Forbidden", "Connection: close")
    upstream.script([read_head, send(refusal), half_close, hang])
    client.send(post(b"Content-Length: 16777216", body=LARGE_BODY[:65536]))
    assert client.read_response().status == 403


def test_body_that_breaks_off_is_seen_to_break_off(client: Client, upstream: Upstream) -> None:
    upstream.script(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 70_000))
    with pytest.raises(BadResponseError, match="body ended at 70000 of 100000"):
        client.request(GET)


@pytest.mark.parametrize(
    "head",
    [post(b"Content-Length: 9", body=b"hell"), chunked(b"5\r\nhel")],
    ids=["length", "chunks"],
)
def test_answer_before_the_body_is_complete_says_close(
    head: bytes, client: Client, upstream: Upstream
) -> None:
    """RFC 9112 §9.6: the last response of a connection says so."""
    upstream.script([read_head, send(response(b"enough", "413 Content Too Large")), hang])
    assert client.request(head).value("Connection") == "close"
