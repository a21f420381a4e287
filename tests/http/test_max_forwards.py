"""``Max-Forwards`` of OPTIONS and TRACE (RFC 9110 §7.6.2), which ends at a proxy."""

import pytest

from testkit.client import Client
from testkit.upstream import Upstream
from vectors.http1_row import get

LARGEST = 2**64 - 1


def asking(method: str, *fields: str) -> bytes:
    """A request without a body."""
    return get(*[field.encode() for field in fields]).replace(b"GET", method.encode(), 1)


def test_options_that_end_here(client: Client, upstream: Upstream) -> None:
    """Where a route takes all methods there is no list."""
    reply = client.request(asking("OPTIONS", "Max-Forwards: 0"))
    assert (reply.status, reply.values("Allow")) == (200, [])
    assert reply.values("Content-Length") == ["0"]
    assert upstream.requests == []


def test_a_trace_that_ends_here_is_shown_without_secrets(
    client: Client, upstream: Upstream
) -> None:
    secrets = ["Authorization: x", "cookie: a=b", "Proxy-Authorization: x"]
    lines = ["Max-Forwards: 0", "X-Seen: 1", *secrets, "Via: 1.1 first"]
    reply = client.request(asking("TRACE", *lines))
    assert reply.value("Content-Type") == "message/http"
    assert reply.body.decode().split("\r\n") == [
        "TRACE / HTTP/1.1",
        "Host: test",
        "Max-Forwards: 0",
        "X-Seen: 1",
        "Via: 1.1 first",
        "",
        "",
    ]
    assert upstream.requests == []


# What the client sends → what the server gets.
COUNTS = {
    ("OPTIONS", "5"): "4",
    ("TRACE", "0010"): "9",
    ("OPTIONS", "9" * 30): str(LARGEST - 1),
    ("OPTIONS", "-1"): "-1",
    ("OPTIONS", "1, 2"): "1, 2",
    ("OPTIONS", ""): "",
    ("GET", "0"): "0",
    ("POST", "3"): "3",
}


@pytest.mark.parametrize(("method", "sent"), COUNTS)
def test_counted_on_the_way(method: str, sent: str, client: Client, upstream: Upstream) -> None:
    assert client.request(asking(method, f"Max-Forwards: {sent}")).status == 200
    lines = upstream.requests[0].decode().split("\r\n")
    values = [line[14:] for line in lines if line.startswith("Max-Forwards:")]
    assert values == [COUNTS[method, sent]]


def test_a_count_that_connection_names_goes_no_further(client: Client, upstream: Upstream) -> None:
    lines = ["Connection: Max-Forwards", "Max-Forwards: 0"]
    assert client.request(asking("OPTIONS", *lines)).status == 200
    assert b"max-forwards" not in upstream.requests[0].lower()
