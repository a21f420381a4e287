"""A route that asks with another method: framing, repetition and reuse go by what was sent."""

from testkit.client import Client
from testkit.upstream import (
    OK,
    WELL_BEHAVED,
    Upstream,
    answer,
    forever,
    hang,
    read_request,
    response,
    send,
)
from vectors.http1_row import GET

HEAD = b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n"
# What a body would be taken for if it stayed on the wire.
POISON = response(b"poison")


def test_head_that_becomes_get_has_no_body(ports: dict[str, int], upstream: Upstream) -> None:
    """The connection with the body on it is not used again; the client's is."""
    upstream.script([read_request, send(response(POISON)), hang], WELL_BEHAVED)
    with Client(ports["as_get"]) as client:
        reply = client.request(HEAD, "HEAD")
        assert (reply.status, reply.body) == (200, b"")
        assert client.request(GET).body == b"ok"
    assert [request[:4] for request in upstream.requests] == [b"GET ", b"GET "]
    assert upstream.connection_count == 2


def test_body_of_a_rewritten_head_is_nobodys_answer(
    ports: dict[str, int], upstream: Upstream
) -> None:
    """Even one that comes when the next client has asked."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(POISON)
    upstream.script([read_request, send(head), read_request, send(POISON)], WELL_BEHAVED)
    with Client(ports["as_get"]) as client, Client(ports["as_get"]) as other:
        assert client.request(HEAD, "HEAD").status == 200
        assert other.request(GET).body == b"ok"


def test_get_that_becomes_post_is_not_repeated(ports: dict[str, int], upstream: Upstream) -> None:
    """Not even on a kept connection that ended (RFC 9110 §9.2.2)."""
    upstream.script([read_request, send(OK), read_request], [forever(*answer(OK))])
    with Client(ports["as_post"]) as client:
        assert client.request(GET).status == 200
        assert client.request(GET).status == 502
    assert [request[:5] for request in upstream.requests] == [b"POST "] * 2


def test_post_that_becomes_get_is_repeated(ports: dict[str, int], upstream: Upstream) -> None:
    """What is sent may be sent twice."""
    upstream.script([read_request, send(OK), read_request], WELL_BEHAVED)
    with Client(ports["as_get"]) as client:
        for _ in range(2):
            assert client.request(GET.replace(b"GET", b"POST")).status == 200
    assert len(upstream.requests) == 3
