"""Every fault of the fault proxy, seen from a raw client; each can be switched while it runs."""

import time
from collections.abc import Iterator

import pytest

from testkit.client import BadResponseError, Client
from testkit.faultproxy import Fault, FaultProxy, Then
from testkit.upstream import Upstream, forever, half_close, hang, read_request, response, send

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
BODY = bytes(range(256)) * 400
ANSWER = response(BODY)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream([forever(read_request, send(ANSWER))]) as upstream:
        yield upstream


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[FaultProxy]:
    with FaultProxy(upstream.port) as proxy:
        yield proxy


def test_without_a_fault_bytes_pass(proxy: FaultProxy, upstream: Upstream) -> None:
    with Client(proxy.port) as client:
        assert [client.request(GET).body for _ in range(3)] == [BODY] * 3
    assert upstream.requests == [GET] * 3


def test_half_close_passes(upstream: Upstream, proxy: FaultProxy) -> None:
    upstream.script([read_request, send(ANSWER), half_close, hang])
    with Client(proxy.port) as client:
        client.send(GET)
        client.half_close()
        assert client.read_until_close() == ANSWER


def test_delay(proxy: FaultProxy) -> None:
    with Client(proxy.port) as client:
        client.request(GET)
        proxy.set_uplink(Fault(delay_s=0.2))
        start_s = time.monotonic()
        assert client.request(GET).body == BODY
        assert time.monotonic() - start_s >= 0.2


def test_trickle(proxy: FaultProxy) -> None:
    proxy.set_downlink(Fault(piece_bytes=len(ANSWER) // 4, interval_s=0.05))
    with Client(proxy.port) as client:
        start_s = time.monotonic()
        assert client.request(GET).body == BODY
        assert time.monotonic() - start_s >= 0.15


def test_cut_after_bytes(proxy: FaultProxy) -> None:
    proxy.set_downlink(Fault(then=Then.CUT, after_bytes=100))
    with Client(proxy.port) as client:
        client.send(GET)
        assert client.read_until_close() == ANSWER[:100]


def test_cut_of_the_uplink_reaches_the_upstream_in_part(
    proxy: FaultProxy, upstream: Upstream
) -> None:
    proxy.set_uplink(Fault(then=Then.CUT, after_bytes=len(GET) - 1))
    with Client(proxy.port) as client:
        client.send(GET)
        assert client.is_closed()
    assert upstream.requests == []


def test_reset_after_bytes(proxy: FaultProxy) -> None:
    proxy.set_downlink(Fault(then=Then.RESET, after_bytes=0))
    with Client(proxy.port) as client:
        client.send(GET)
        with pytest.raises(ConnectionResetError):
            client.read_until_close()


def test_freeze_and_heal(proxy: FaultProxy) -> None:
    proxy.set_downlink(Fault(then=Then.FREEZE, after_bytes=10))
    with Client(proxy.port, timeout_s=0.2) as client:
        client.send(GET)
        with pytest.raises(TimeoutError):
            client.read_response()
        proxy.heal()
        assert client.read_response().body == BODY


def test_refuse_leaves_open_connections_alone(proxy: FaultProxy) -> None:
    with Client(proxy.port) as client:
        client.request(GET)
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            Client(proxy.port)
        assert client.request(GET).body == BODY
        proxy.heal()
        with Client(proxy.port) as another:
            assert another.request(GET).body == BODY


@pytest.mark.parametrize("then", [Then.CUT, Then.RESET])
def test_end_open_connections_now(proxy: FaultProxy, upstream: Upstream, then: Then) -> None:
    with Client(proxy.port) as client:
        client.request(GET)
        proxy.end_connections(then)
        assert client.is_closed()


def test_an_upstream_that_is_gone_is_a_reset(proxy: FaultProxy, upstream: Upstream) -> None:
    upstream.die()
    # The reset may come while we still connect.
    with (
        pytest.raises((BadResponseError, ConnectionResetError)),
        Client(proxy.port) as client,
    ):
        client.request(GET)
