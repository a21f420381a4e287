"""Filters run in the order of their list, the gateway's before the API's, and back in reverse."""

from testkit.gateway import Gateway, seen
from testkit.ports import free_port
from testkit.upstream import Upstream

CONSUMERS = 'consumers.alice.keys = ["key"]'
KEY = '{ type = "api_key" }'
LIMIT = '{ type = "rate_limit", key = "ip", limit = 2, period = "1d" }'
DENY = '{ type = "ip_access", deny = "127.0.0.1" }'


def chain(*filters: str) -> str:
    return f"filters = [{', '.join(filters)}]"


def set_on_both_ways(value: str) -> str:
    edit = f'{{ set = {{ X-A = "{value}" }} }}'
    return f'{{ type = "headers", request = {edit}, response = {edit} }}'


def test_a_limit_before_authentication_counts_strangers(gateway: Gateway) -> None:
    gateway.serve({"it": chain(LIMIT, KEY)}, gateway=CONSUMERS)
    assert [gateway.ask().status for _ in range(3)] == [401, 401, 429]
    assert gateway.ask("/", "X-API-Key: key").status == 429


def test_a_limit_after_authentication_does_not(gateway: Gateway) -> None:
    gateway.serve({"it": chain(KEY, LIMIT)}, gateway=CONSUMERS)
    assert [gateway.ask().status for _ in range(3)] == [401, 401, 401]
    assert [gateway.ask("/", "X-API-Key: key").status for _ in range(3)] == [200, 200, 429]


def test_the_first_that_answers_ends_it(gateway: Gateway, upstream: Upstream) -> None:
    """What stands behind it does not see the request: no limit is counted, no line added."""
    gateway.serve({"it": chain('{ type = "request_id" }', DENY, LIMIT, KEY)})
    before = len(upstream.requests)
    refused = [gateway.ask() for _ in range(4)]
    assert [answer.status for answer in refused] == [403] * 4
    assert all(answer.values("x-request-id") for answer in refused)
    assert not any(answer.values("ratelimit") for answer in refused)
    assert len(upstream.requests) == before
    _, limits = gateway.trunkline.admin("GET", "/limits")
    assert [limit["keys"] for limit in limits] == [0]


def test_two_edits_of_one_header(gateway: Gateway) -> None:
    """Upwards the later one wins, downwards the earlier: it is applied last."""
    gateway.serve({"it": chain(set_on_both_ways("first"), set_on_both_ways("second"))})
    answer = gateway.ask()
    assert seen(answer).values("x-a") == ["second"]
    assert answer.values("x-a") == ["first"]


def test_the_back_end_s_edits_come_last(gateway: Gateway) -> None:
    backend = 'backend.headers.set.X-A = "backend"'
    gateway.serve({"it": f"{chain(set_on_both_ways('filter'))}\n{backend}"})
    assert seen(gateway.ask()).values("x-a") == ["backend"]


def test_the_gateway_s_filters_come_before_the_api_s(gateway: Gateway) -> None:
    apis = {
        "one": f'path = "/one"\n{chain(set_on_both_ways("api"))}',
        "other": 'path = "/other"',
    }
    gateway.serve(apis, gateway=chain(set_on_both_ways("gateway"), LIMIT))
    one, other = gateway.ask("/one"), gateway.ask("/other")
    assert seen(one).values("x-a") == ["api"]
    assert seen(other).values("x-a") == ["gateway"]
    # One limit for all APIs: two requests are all that a day has.
    assert gateway.ask("/other").status == 429


def test_a_refusal_carries_what_ran_before_it(gateway: Gateway) -> None:
    steps = (set_on_both_ways("before"), LIMIT, KEY, '{ type = "headers", response.set.X-B = "b" }')
    gateway.serve({"it": chain(*steps)})
    refused = gateway.ask()
    assert refused.status == 401
    assert refused.value("x-a") == "before"
    assert ";r=1;" in refused.value("ratelimit")
    assert refused.values("x-b") == []


def test_a_failure_behind_the_chain_carries_what_it_said(gateway: Gateway) -> None:
    """Without the CORS fields a page could not even read that there was a 502."""
    page = "https://app.example"
    cors = f'{{ type = "cors", origins = "{page}" }}'
    steps = ('{ type = "request_id" }', cors, LIMIT, set_on_both_ways("edit"))
    gateway.serve({"it": chain(*steps)}, servers=[free_port()])
    failed = gateway.ask("/", f"Origin: {page}")
    assert (failed.status, failed.value("access-control-allow-origin")) == (502, page)
    assert failed.value("x-a") == "edit"
    assert ";r=1;" in failed.value("ratelimit")
    assert failed.value("x-request-id") == gateway.log()[0]["request_id"]


def test_an_unsafe_rewrite_is_logged_with_what_the_chain_said(gateway: Gateway) -> None:
    api = chain('{ type = "request_id" }', KEY) + '\nbackend.path = "/in/{query.p}"'
    gateway.serve({"it": api}, gateway=CONSUMERS)
    assert gateway.ask("/?p=..", "X-API-Key: key").status == 400
    (entry,) = gateway.log()
    assert (entry["reason"], entry["consumer"]) == ("rewrite_unsafe", "alice")
    assert len(entry["request_id"]) == 32
