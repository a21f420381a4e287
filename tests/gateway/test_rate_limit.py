"""Rate limits: by which key they count, what each algorithm admits, and what clients are told.

Limits per day give nothing back while a test runs, so what is left is exact.
"""

import pytest

from testkit.client import Client, Response
from testkit.gateway import Gateway
from testkit.upstream import Upstream
from testkit.waiting import wait_until

DAY_S = 86_400
ALGORITHMS = ["token_bucket", "leaky_bucket", "gcra", "fixed_window", "sliding_window"]
TRUSTING = 'forwarding.trusted = ["127.0.0.0/8"]'
CONSUMERS = 'consumers = { alice.keys = ["a1", "a2"], bob.keys = ["b1"] }'
QUEUE = 'key = "api", algorithm = "leaky_queue", limit = 4, period = "1s", burst = 3'


def limit(keys: str, before: str = "") -> str:
    """An API with this limit, behind these filters."""
    return f'filters = [{before} {{ type = "rate_limit", {keys} }}]'


def daily(count: int, key: str = "ip", more: str = "") -> str:
    return f'key = "{key}", limit = {count}, period = "1d"{more}'


def field(answer: Response, name: str) -> dict[str, str]:
    """`"name";q=3;w=1` as {"": '"name"', "q": "3", "w": "1"}."""
    first, *parameters = answer.value(name).split(";")
    return {"": first} | dict(parameter.split("=") for parameter in parameters)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_as_many_as_the_limit(gateway: Gateway, upstream: Upstream, algorithm: str) -> None:
    gateway.serve({"it": limit(daily(3, more=f', algorithm = "{algorithm}"'))})
    before = len(upstream.requests)
    answers = [gateway.ask() for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert [field(answer, "ratelimit")["r"] for answer in answers] == ["2", "1", "0", "0", "0"]
    assert len(upstream.requests) == before + 3
    assert answers[3].body == b'{"error":"rate_limited","status":429}'
    assert 0 < int(answers[3].value("retry-after")) <= 2 * DAY_S
    assert gateway.failures(reason="rate_limited") == 2


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_after_a_while_it_passes_again(gateway: Gateway, algorithm: str) -> None:
    keys = f'key = "ip", limit = 1, period = "300ms", algorithm = "{algorithm}"'
    gateway.serve({"it": limit(keys)})
    for status in (200, 429, 200, 429):
        wait_until(lambda: gateway.ask().status == status, timeout_s=5, what=str(status))  # noqa: B023


def test_a_burst_and_its_refill(gateway: Gateway) -> None:
    """Five at once; then as many per period as the limit says: one in 8 hours."""
    gateway.serve({"it": limit(daily(3, more=", burst = 5"))})
    answers = [gateway.ask() for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert answers[5].value("retry-after") == str(DAY_S // 3)


def test_fields(gateway: Gateway) -> None:
    """draft-ietf-httpapi-ratelimit-headers-09: policy, what is left, when it is whole again."""
    gateway.serve(
        {
            "told": 'path = "/told"\n' + limit(daily(4, more=', name = "told"')),
            "silent": 'path = "/silent"\n' + limit(daily(1, more=", headers = false")),
            "short": 'path = "/short"\n'
            + limit('key = "ip", limit = 1000, period = "1500ms", name = "a:b"'),
        }
    )
    told = gateway.ask("/told")
    assert told.value("ratelimit-policy") == f'"told";q=4;w={DAY_S}'
    assert told.value("ratelimit") == f'"told";r=3;t={DAY_S // 4}'
    assert told.values("retry-after") == []
    # A window that is no whole number of seconds is left out.
    assert gateway.ask("/short").value("ratelimit-policy") == '"a:b";q=1000'
    for status in (200, 429):
        silent = gateway.ask("/silent")
        assert silent.status == status
        assert silent.values("ratelimit") == silent.values("ratelimit-policy") == []
    assert silent.value("retry-after") == str(DAY_S)


def test_two_limits(gateway: Gateway) -> None:
    """Both count and both are told; the narrower one decides."""
    second = f'{{ type = "rate_limit", name = "narrow", {daily(1)} }}'
    gateway.serve(
        {"it": f'filters = [{{ type = "rate_limit", name = "wide", {daily(9)} }}, {second}]'}
    )
    gateway.ask()
    answer = gateway.ask()
    assert answer.status == 429
    remaining = [value.split(";")[:2] for value in answer.values("ratelimit")]
    assert sorted(remaining) == [['"narrow"', "r=0"], ['"wide"', "r=7"]]


def test_the_cost_of_a_request(gateway: Gateway) -> None:
    gateway.serve({"it": limit(daily(5, more=", cost = 2"))})
    answers = [gateway.ask() for _ in range(3)]
    assert [field(answer, "ratelimit")["r"] for answer in answers] == ["3", "1", "1"]
    assert answers[2].status == 429


KEYS = {
    # key, listener, filters before, lines of each request, in the order they come → passes
    "ip": (
        "ip",
        TRUSTING,
        "",
        [
            ("X-Forwarded-For: 203.0.113.1", True),
            ("X-Forwarded-For: 203.0.113.1", False),
            ("X-Forwarded-For: 203.0.113.2", True),
            ("X-Forwarded-For: 198.51.100.9, 203.0.113.2, 127.0.0.1", False),
            ("X-Forwarded-For: ::ffff:203.0.113.2", False),
            ("X: y", True),
        ],
    ),
    "ip of a /64": (
        "ip",
        TRUSTING,
        "",
        [
            ("X-Forwarded-For: 2001:db8::1", True),
            ("X-Forwarded-For: 2001:db8::ffff:1", False),
            ("X-Forwarded-For: 2001:db8:0:1::1", True),
        ],
    ),
    "ip of whom nobody trusts": (
        "ip",
        "",
        "",
        [("X-Forwarded-For: 203.0.113.1", True), ("X-Forwarded-For: 203.0.113.2", False)],
    ),
    "consumer": (
        "consumer",
        "",
        '{ type = "api_key" },',
        [
            ("X-API-Key: a1", True),
            ("X-API-Key: a2", False),
            ("X-API-Key: b1", True),
            ("X-API-Key: b1", False),
        ],
    ),
    "header": (
        "header:X-Tenant",
        "",
        "",
        [
            ("X-Tenant: one", True),
            ("x-tenant: one", False),
            ("X-Tenant: two", True),
            ("X: no tenant", True),
            ("Y: no tenant either", False),
        ],
    ),
    "api": (
        "api",
        TRUSTING,
        "",
        [("X-Forwarded-For: 203.0.113.1", True), ("X-Forwarded-For: 203.0.113.2", False)],
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_who_shares_a_count(gateway: Gateway, name: str) -> None:
    key, listener, before, requests = KEYS[name]
    gateway.serve({"it": limit(daily(1, key), before)}, gateway=CONSUMERS, listener=listener)
    for line, passes in requests:
        assert gateway.ask("/", line).status == (200 if passes else 429), line


@pytest.mark.parametrize(("key", "second"), [("ip", 429), ("api", 200)])
def test_one_name_on_two_apis(gateway: Gateway, key: str, second: int) -> None:
    """Limits of one name share their counts; by API, each has its own."""
    shared = limit(daily(1, key, f', name = "shared-{key}"'))
    gateway.serve({"a": f'path = "/a"\n{shared}', "b": f'path = "/b"\n{shared}'})
    assert [gateway.ask(path).status for path in ("/a", "/a", "/b")] == [200, 429, second]


def test_without_a_name_each_has_its_own(gateway: Gateway) -> None:
    own = limit(daily(1))
    gateway.serve({"a": f'path = "/a"\n{own}', "b": f'path = "/b"\n{own}'})
    assert [gateway.ask(path).status for path in ("/a", "/b", "/a")] == [200, 200, 429]


def test_a_reload_does_not_forget(gateway: Gateway) -> None:
    """Unless the limit itself is another one."""
    gateway.serve({"it": limit(daily(1))})
    assert gateway.ask().status == 200
    gateway.change({"it": limit(daily(1)), "more": 'path = "/more"'})
    assert gateway.ask().status == 429
    gateway.change({"it": limit(daily(2))})
    assert gateway.ask().status == 200


def test_a_queue_holds_back(gateway: Gateway) -> None:
    """Three of four at once: the second waits 250 ms, the third 500; there is no fourth place."""
    gateway.serve({"it": limit(QUEUE)})
    clients = [gateway.client() for _ in range(4)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    answers = [_read(client) for client in clients]
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 429]
    (refused,) = (answer for answer in answers if answer.status == 429)
    assert refused.value("retry-after") == "1"
    held_us = sorted(entry["duration_us"] for entry in gateway.log(4) if entry["status"] == 200)
    first, second, third = held_us
    assert first < 150_000 < second < 400_000 < third < 1_000_000


def test_who_leaves_the_queue_is_not_passed_on(gateway: Gateway, upstream: Upstream) -> None:
    """It asks twice at once: who has the first answer is in the queue with the second request."""
    gateway.serve({"it": limit(QUEUE)})
    ask = b"GET /left HTTP/1.1\r\nHost: a\r\n\r\n"
    before = len(upstream.requests)
    with gateway.client() as client:
        client.send(ask.replace(b"/left", b"/") + ask)
        assert client.read_response().status == 200
        client.reset()
    assert gateway.ask().status == 200
    (left,) = (entry for entry in gateway.log(3) if entry["path"] == "/left")
    assert (left["status"], left["reason"]) == (0, "client_closed")
    assert not any(b"/left" in request for request in upstream.requests[before:])


def _read(client: Client) -> Response:
    with client:
        return client.read_response()


def test_concurrent_clients_never_get_more(gateway: Gateway) -> None:
    gateway.serve({"it": limit(daily(10))})
    clients = [gateway.client() for _ in range(30)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    statuses = [_read(client).status for client in clients]
    assert (statuses.count(200), statuses.count(429)) == (10, 20)


def test_limits_of_the_admin_api(gateway: Gateway) -> None:
    gateway.serve({"it": limit(daily(7, more=', name = "seen", capacity = 50'))}, listener=TRUSTING)
    for number in range(3):
        gateway.ask("/", f"X-Forwarded-For: 203.0.113.{number}")
    _, limits = gateway.trunkline.admin("GET", "/limits")
    (found,) = (entry for entry in limits if entry["name"] == "seen")
    assert found == {
        "name": "seen",
        "key": "ip",
        "algorithm": "token_bucket",
        "limit": 7,
        "period_ms": DAY_S * 1_000,
        "keys": 3,
        "capacity": found["capacity"],
        "evicted": 0,
        "overflowed": 0,
    }
    assert found["capacity"] >= 50
