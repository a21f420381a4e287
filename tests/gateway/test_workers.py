"""Worker threads share limits and breakers, wherever a connection lands."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from testkit.gateway import Gateway
from testkit.ports import free_port
from testkit.trunkline import Trunkline, lb_config
from testkit.upstream import Upstream, answer, response
from testkit.waiting import wait_until

LIMIT = '{ type = "rate_limit", key = "ip", limit = 100, period = "1d" }'
BREAKER = '{ type = "circuit_breaker", consecutive_failures = 5, open = "1m" }'
CALLERS = 8


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Gateway]:
    """A gateway with four workers."""
    config = lb_config(free_port(), [free_port()])
    with Trunkline(tmp_path_factory.mktemp("workers"), config, threads=4) as running:
        yield Gateway(running, upstream.port)


def statuses(gateway: Gateway, count: int) -> list[int]:
    """Of so many requests, each on a connection of its own, several at a time."""
    with ThreadPoolExecutor(CALLERS) as callers:
        return [answer.status for answer in callers.map(lambda _: gateway.ask(), range(count))]


def test_a_limit_is_exact(many: Gateway) -> None:
    many.serve({"it": f"filters = [{LIMIT}]"})
    found = statuses(many, 200)
    assert (found.count(200), found.count(429)) == (100, 100)


def test_an_open_breaker_is_open_everywhere(many: Gateway) -> None:
    failing = answer(response(b"", "500 Oops", "Connection: close"))
    with Upstream(failing) as server:
        many.serve({"it": f"filters = [{BREAKER}]"}, servers=[server.port])
        found = statuses(many, 100)
        assert set(found) == {500, 503}
        # Those that were on their way when the fifth failed come to an end.
        assert 5 <= found.count(500) <= 5 + CALLERS
        assert statuses(many, 20) == [503] * 20


def test_counts_of_all_workers_add_up(many: Gateway) -> None:
    many.serve({"it": ""})
    assert statuses(many, 100) == [200] * 100
    metric = many.trunkline.metric
    wait_until(
        lambda: metric("trunkline_responses_total", route=many.api("it")) >= 100,
        timeout_s=5,
        what="the last one to be counted",
    )
    assert metric("trunkline_responses_total", route=many.api("it"), **{"class": "2xx"}) == 100
    assert metric("trunkline_server_responses_total", pool=many.pool) == 100
    assert len(many.log(100)) == 100
