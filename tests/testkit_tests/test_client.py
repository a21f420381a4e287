"""The raw client reads good responses exactly and refuses the rest."""

import pytest

from testkit.client import BadResponseError, Client, Response
from testkit.upstream import Upstream, answer, hang, read_request, send

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def fetch(raw: bytes, method: str = "GET") -> Response:
    with Upstream(answer(raw)) as upstream, Client(upstream.port) as client:
        return client.request(GET, method)


GOOD = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a\r\nok\r\n0\r\n\r\n",
        b"ok",
    ),
    "until close": (b"HTTP/1.0 200 OK\r\n\r\nok", b"ok"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "empty reason and value": (b"HTTP/1.1 200 \r\nA:\r\nContent-Length: 0\r\n\r\n", b""),
}
BAD = {
    "no version": b"200 OK\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
    "space before colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "obs-fold": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "length and chunked": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok"
    ),
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "short body": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
    "long chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
    "bad chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nok\r\n",
    "ends in the head": b"HTTP/1.1 200 OK\r\nContent-Le",
}


@pytest.mark.parametrize("name", GOOD)
def test_good_responses(name: str) -> None:
    raw, body = GOOD[name]
    assert fetch(raw).body == body


@pytest.mark.parametrize("name", BAD)
def test_bad_responses(name: str) -> None:
    with pytest.raises(BadResponseError):
        fetch(BAD[name])


def test_head_has_no_body() -> None:
    response = fetch(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD")
    assert (response.body, response.value("content-length")) == (b"", "9")


def test_trailers() -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n"
    assert fetch(raw).trailers == [("x-sum", "1")]


def test_interim_then_final_then_pipelined() -> None:
    raw = (
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nb"
    )
    with Upstream([read_request, send(raw), hang]) as upstream, Client(upstream.port) as client:
        client.send(GET)
        responses = [client.read_response() for _ in range(3)]
        assert [(one.status, one.body) for one in responses] == [
            (103, b""),
            (200, b"a"),
            (404, b"b"),
        ]


def test_bytewise_sends_the_same_bytes() -> None:
    with Upstream() as upstream, Client(upstream.port) as client:
        client.send_bytewise(GET)
        assert client.read_response().status == 200
        assert upstream.requests == [GET]


def test_reset_is_seen_by_the_peer() -> None:
    with Upstream([read_request, hang]) as upstream:
        client = Client(upstream.port)
        client.send(GET)
        upstream.wait_for_requests(1)
        client.reset()
        with Client(upstream.port) as another:
            another.send(GET)
            upstream.wait_for_requests(2)
        assert upstream.connection_count == 2
