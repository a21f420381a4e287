"""Every row of the response table through the running proxy, sent whole and one byte at a time.

The client gets what the row says and keeps its connection, the proxy counts the reason, and a
connection on which a response went wrong is never used again.
"""

from collections.abc import Callable, Iterator

import pytest

from testkit.client import BadResponseError, Client, Response
from testkit.trunkline import Trunkline
from testkit.upstream import (
    OK,
    WELL_BEHAVED,
    Step,
    Upstream,
    forever,
    read_request,
    send,
    send_slowly,
)
from testkit.waiting import wait_until
from vectors.http1_responses import ROWS, Row
from vectors.http1_row import GET

Send = Callable[[bytes], Step]


def send_bytewise(data: bytes) -> Step:
    return send_slowly(data, piece_bytes=1, interval_s=0)


SENDS: dict[str, Send] = {"whole": send, "bytewise": send_bytewise}
CLEAN = [row for row in ROWS if row.verdict == "passed" and row.reason is None]
EXCESS = [row for row in ROWS if row.verdict == "passed" and row.reason is not None]
REFUSED = [row for row in ROWS if row.verdict == "refused"]
CUT = [row for row in ROWS if row.verdict == "cut"]
# The kit's client reads status lines of ASCII only; the others have a test of their own.
READABLE = [row for row in CLEAN if row.raw.isascii()]


def for_each(rows: list[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.name)


both_ways = pytest.mark.parametrize("send_row", SENDS.values(), ids=SENDS)


@pytest.fixture
def once(ports: dict[str, int], upstream: Upstream) -> Iterator[Client]:
    """A connection to the listener that tries only once."""
    with Client(ports["once"]) as connection:
        yield connection


def respond(upstream: Upstream, row: Row, send_row: Send) -> None:
    """The first connection answers with the row; on whatever follows the server behaves."""
    then = [] if row.closes else [forever(read_request, send(OK))]
    upstream.script([read_request, send_row(row.raw), *then], WELL_BEHAVED)


def ask(client: Client, method: str) -> Response:
    """The final response; interim ones are left out."""
    client.send(f"{method} / HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    while (response := client.read_response(method)).status < 200:
        pass
    return response


def failures(proxy: Trunkline, reason: str | None) -> float:
    assert reason is not None
    return proxy.metric("trunkline_failures_total", listener="lb.http.once", reason=reason)


@both_ways
@for_each(READABLE)
def test_clean_response(row: Row, send_row: Send, once: Client, upstream: Upstream) -> None:
    respond(upstream, row, send_row)
    response = ask(once, row.method)
    assert (response.status, response.body) == (row.status, row.body)
    assert once.request(GET).body == b"ok"


@for_each(READABLE)
def test_connection_is_kept_after_a_clean_response(
    row: Row, once: Client, upstream: Upstream
) -> None:
    respond(upstream, row, send)
    ask(once, row.method)
    assert once.request(GET).body == b"ok"
    may_be_kept = row.raw.startswith(b"HTTP/1.1") and not row.closes
    assert upstream.connection_count == (1 if may_be_kept else 2)


@both_ways
@for_each([row for row in CLEAN if row not in READABLE])
def test_status_line_is_passed_on_as_it_came(
    row: Row, send_row: Send, once: Client, upstream: Upstream
) -> None:
    respond(upstream, row, send_row)
    once.send(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
    answer = once.read_until_close()
    assert answer.split(b"\r\n")[0] == row.raw.split(b"\r\n")[0]
    assert answer.endswith(b"\r\n\r\n" + row.body)


# Whole only: what comes after the proxy has seen the end is stray bytes on an idle connection.
@for_each(EXCESS)
def test_more_than_the_response(
    row: Row, once: Client, proxy: Trunkline, upstream: Upstream
) -> None:
    respond(upstream, row, send)
    before = failures(proxy, row.reason)
    response = ask(once, row.method)
    assert (response.status, response.body) == (row.status, row.body)
    assert once.request(GET).body == b"ok"
    assert upstream.connection_count == 2
    assert failures(proxy, row.reason) == before + 1


@both_ways
@for_each(REFUSED)
def test_refused_response(
    row: Row, send_row: Send, once: Client, proxy: Trunkline, upstream: Upstream
) -> None:
    respond(upstream, row, send_row)
    before = failures(proxy, row.reason)
    response = ask(once, row.method)
    assert response.status == 502
    assert response.value("X-Trunkline-Reason") == row.reason
    assert once.request(GET).body == b"ok"
    assert upstream.connection_count == 2
    assert failures(proxy, row.reason) == before + 1


@both_ways
@for_each(CUT)
def test_cut_response(
    row: Row, send_row: Send, once: Client, proxy: Trunkline, upstream: Upstream
) -> None:
    respond(upstream, row, send_row)
    before = failures(proxy, row.reason)
    try:
        assert ask(once, row.method).status == 502
    except BadResponseError:
        once.read_until_close()
    assert failures(proxy, row.reason) == before + 1
    wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the connection to be given up")


@pytest.mark.parametrize("length", [0, 5])
def test_204_has_no_length(length: int, client: Client, upstream: Upstream) -> None:
    """RFC 9110 §8.6."""
    head = b"HTTP/1.1 204 No Content\r\nContent-Length: %d\r\n\r\n" % length
    upstream.script([read_request, send(head), read_request, send(OK)])
    assert client.request(GET).values("Content-Length") == []
    assert client.request(GET).body == b"ok"
