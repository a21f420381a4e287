"""What every answer of a filter has in common: framing, and what becomes of the connection."""

import pytest

from testkit.gateway import Gateway
from testkit.upstream import Upstream

LIMIT = 'type = "rate_limit", key = "ip", limit = 1, period = "1d"'
BREAKER = 'type = "circuit_breaker", consecutive_failures = 1, failures = [200], open = "1m"'
REFUSING = {
    # a filter that refuses every request (limit and breaker: all but the first) → status
    "ip_access": ('type = "ip_access", deny = "127.0.0.0/8"', 403),
    "api_key": ('type = "api_key"', 401),
    "jwt": (f'type = "jwt", algorithms = ["HS256"], secret = "{"s" * 32}"', 401),
    "rate_limit": (LIMIT, 429),
    "size_limit": ('type = "size_limit", head = "1B"', 431),
    "circuit_breaker": (BREAKER, 503),
    "fallback": (f'{BREAKER}, fallback = {{ status = 203, body = "instead" }}', 203),
}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
FREE = b"GET /free HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(params=REFUSING)
def status(gateway: Gateway, request: pytest.FixtureRequest) -> int:
    """Of the refusals of one filter; `/free` is an API without it."""
    keys, expected = REFUSING[request.param]
    gateway.serve({"it": f"filters = [{{ {keys} }}]", "free": 'path = "/free"'})
    if keys == LIMIT or "circuit_breaker" in keys:
        assert gateway.ask().status == 200
    return expected


def test_the_connection_goes_on(gateway: Gateway, status: int) -> None:
    with gateway.client() as client:
        refused = client.request(GET)
        assert (refused.status, refused.values("connection")) == (status, [])
        head = client.request(HEAD, "HEAD")
        assert (head.status, head.body) == (status, b"")
        assert head.value("content-length") == refused.value("content-length")
        assert head.value("content-type") == refused.value("content-type")
        assert client.request(FREE).status == 200


def test_requests_behind_it_in_the_pipe(gateway: Gateway, status: int) -> None:
    with gateway.client() as client:
        client.send(GET + FREE + HEAD + FREE)
        answers = [client.read_response(method) for method in ("GET", "GET", "HEAD", "GET")]
    assert [answer.status for answer in answers] == [status, 200, status, 200]


def test_a_body_that_nobody_reads_ends_it(
    gateway: Gateway, upstream: Upstream, status: int
) -> None:
    """What follows must not be taken for a request (RFC 9112 §9.3)."""
    before = len(upstream.requests)
    with gateway.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(FREE))
        refused = client.read_response()
        assert (refused.status, refused.value("connection")) == (status, "close")
        client.send(FREE)
        client.half_close()
        assert client.read_until_close() == b""
    assert len(upstream.requests) == before


def test_an_old_client(gateway: Gateway, status: int) -> None:
    with gateway.client() as client:
        refused = client.request(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        assert (refused.status, refused.value("connection")) == (status, "close")
        assert client.is_closed()
