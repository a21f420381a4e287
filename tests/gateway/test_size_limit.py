"""Size limits: of bodies by their declared length or counted as they come, and of heads."""

import pytest

from testkit.gateway import Gateway
from testkit.upstream import Upstream
from testkit.waiting import wait_until

LIMIT_BYTES = 1024


def size_limit(keys: str) -> str:
    return f'filters = [{{ type = "size_limit", {keys} }}]'


def chunked(*sizes: int) -> bytes:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = (b"%x\r\n%s\r\n" % (size, b"x" * size) for size in sizes)
    return head + b"".join(chunks) + b"0\r\n\r\n"


@pytest.mark.parametrize(("size", "status"), [(LIMIT_BYTES, 200), (LIMIT_BYTES + 1, 413)])
def test_a_declared_length(gateway: Gateway, upstream: Upstream, size: int, status: int) -> None:
    """What is too long is refused before a byte of it is read, and never asked of the upstream."""
    gateway.serve({"it": size_limit('body = "1KB"')})
    before = len(upstream.requests)
    assert gateway.ask(method="POST", body="x" * size).status == status
    assert len(upstream.requests) == before + (status == 200)
    assert gateway.failures(reason="body_too_large") == (status == 413)


def test_who_asks_first_need_not_send(gateway: Gateway) -> None:
    """`Expect: 100-continue` is answered with the refusal (RFC 9110 §10.1.1)."""
    gateway.serve({"it": size_limit('body = "1KB"')})
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1025\r\n\r\n"
    with gateway.client() as client:
        assert client.request(head).status == 413
        assert client.is_closed()


@pytest.mark.parametrize(
    ("sizes", "status"),
    [((LIMIT_BYTES,), 200), ((1000, 24), 200), ((1000, 25), 413), ((1,) * 1025, 413)],
)
def test_a_body_in_chunks(
    gateway: Gateway, upstream: Upstream, sizes: tuple[int, ...], status: int
) -> None:
    """It is counted as it comes; the upstream never sees the end of one that is too long."""
    gateway.serve({"it": size_limit('body = "1KB"')})
    before = len(upstream.requests)
    with gateway.client() as client:
        assert client.request(chunked(*sizes)).status == status
    assert len(upstream.requests) == before + (status == 200)
    refused = 1 if status == 413 else 0
    wait_until(lambda: gateway.failures() == refused, timeout_s=5, what="the failure counted")
    assert gateway.failures(reason="body_too_large") == refused


def test_heads(gateway: Gateway) -> None:
    gateway.serve({"it": size_limit('head = "1KB"'), "free": 'path = "/free"'})
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n"
    fits = LIMIT_BYTES - len(head % b"")
    with gateway.client() as client:
        assert client.request(head % (b"x" * fits)).status == 200
        refused = client.request(head % (b"x" * (fits + 1)))
    assert (refused.status, refused.body) == (431, b'{"error":"head_too_large","status":431}')
    assert gateway.ask("/free", f"X: {'x' * 2_000}").status == 200


def test_the_narrower_limit_counts(gateway: Gateway) -> None:
    """Of the listener's and each filter's."""
    two = '{ type = "size_limit", body = "2KB" }, { type = "size_limit", body = "1KB" }'
    apis = {"small": 'path = "/s"\n' + f"filters = [{two}]", "large": 'path = "/l"'}
    gateway.serve(apis, listener='limits.body = "1500B"')
    for path, size, status in (
        ("/s", 1024, 200),
        ("/s", 1025, 413),
        ("/l", 1500, 200),
        ("/l", 1501, 413),
    ):
        assert gateway.ask(path, method="POST", body="x" * size).status == status, (path, size)
