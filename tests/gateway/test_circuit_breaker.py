"""Circuit breakers: what opens them, what clients get meanwhile, how they close again."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from testkit.gateway import Gateway
from testkit.upstream import (
    Connection,
    Script,
    Upstream,
    answer,
    hang,
    read_head,
    read_request,
    reset,
    response,
    send,
)
from testkit.waiting import wait_until

# Each on a connection of its own, so that another script counts from the next request on.
GOOD = answer(response(b"good", "200 OK", "Connection: close"))
FAILING = answer(response(b"bad", "500 Oops", "Connection: close"))
MISSING = answer(response(b"", "404 Not Found", "Connection: close"))
OPEN = b'{"error":"breaker_open","status":503}'


@pytest.fixture
def server() -> Iterator[Upstream]:
    with Upstream(FAILING) as upstream:
        yield upstream


def breaker(keys: str, more: str = "") -> str:
    return f'filters = [{{ type = "circuit_breaker", {keys} }}]\nretry.attempts = 1\n{more}'


def serve(gateway: Gateway, server: Upstream, keys: str, more: str = "") -> None:
    gateway.serve({"it": breaker(keys, more)}, servers=[server.port])


def state(gateway: Gateway, name: str = "") -> dict[str, Any]:
    """What the admin API says of the only breaker, or of the one of this name."""
    _, breakers = gateway.trunkline.admin("GET", "/breakers")
    (found,) = (entry for entry in breakers if name in ("", entry["name"]))
    assert isinstance(found, dict)
    return found


def wait_for_state(gateway: Gateway, name: str) -> None:
    wait_until(lambda: state(gateway)["state"] == name, timeout_s=5, what=f"the state {name}")


def test_it_opens_and_spares_the_back_end(gateway: Gateway, server: Upstream) -> None:
    serve(gateway, server, 'consecutive_failures = 3, open = "1m"')
    assert state(gateway)["state"] == "closed"
    answers = [gateway.ask() for _ in range(5)]
    assert [each.status for each in answers] == [500, 500, 500, 503, 503]
    assert [each.body for each in answers[2:4]] == [b"bad", OPEN]
    assert 0 < int(answers[3].value("retry-after")) <= 60
    assert len(server.requests) == 3
    assert state(gateway)["state"] == "open"
    assert gateway.failures(reason="breaker_open") == 2
    refused = gateway.log(5)[3]
    assert (refused["status"], refused["reason"]) == (503, "breaker_open")
    assert "server" not in refused


def test_whose_fault_it_is(gateway: Gateway, server: Upstream) -> None:
    """What an open breaker refuses is the back end's, not the client's."""
    serve(gateway, server, 'consecutive_failures = 1, open = "1m"')
    assert [gateway.ask().status for _ in range(2)] == [500, 503]
    errors = gateway.trunkline.status()["recent_errors"]
    (error,) = (entry for entry in errors if entry["listener"] == gateway.listener)
    assert (error["reason"], error["side"]) == ("breaker_open", "upstream")


def test_a_success_between_begins_anew(gateway: Gateway, server: Upstream) -> None:
    serve(gateway, server, 'consecutive_failures = 3, open = "1m"')
    for script in (FAILING, FAILING, GOOD, FAILING, FAILING):
        server.script(script)
        gateway.ask()
    assert state(gateway)["state"] == "closed"
    gateway.ask()
    assert state(gateway)["state"] == "open"


def test_a_ratio_of_enough_calls(gateway: Gateway, server: Upstream) -> None:
    keys = 'failure_ratio = 0.5, min_calls = 6, window = "1m", open = "1m"'
    serve(gateway, server, keys)
    scripts = [FAILING, GOOD, FAILING, GOOD, GOOD, FAILING]
    for calls, script in enumerate(scripts):
        assert state(gateway)["state"] == "closed"
        assert state(gateway)["calls"] == calls
        server.script(script)
        gateway.ask()
    assert state(gateway)["state"] == "open"


COUNTED: dict[str, tuple[Script, str, str, int, bool]] = {
    # script, keys of the breaker, of the API, status of the first answer, whether it opens
    "500": (FAILING, "", "", 500, True),
    "404": (MISSING, "", "", 404, False),
    "404 if asked": (MISSING, ", failures = [404]", "", 404, True),
    "500 if not asked": (FAILING, ', failures = ["502-504"]', "", 500, False),
    "closed": ([read_request], "", "", 502, True),
    "reset": ([read_request, reset], "", "", 502, True),
    "garbage": ([read_request, send(b"HTTP/9 what\r\n\r\n")], "", "", 502, True),
    "hanging": ([read_request, hang], "", 'timeouts.response_head = "100ms"', 504, True),
    "good": (GOOD, "", "", 200, False),
}


@pytest.mark.parametrize("name", COUNTED)
def test_what_is_a_failure(gateway: Gateway, server: Upstream, name: str) -> None:
    script, keys, more, status, opens = COUNTED[name]
    server.script(script)
    serve(gateway, server, f'consecutive_failures = 1, open = "1m"{keys}', more)
    assert gateway.ask().status == status
    assert gateway.ask().status == (503 if opens else status)


def test_what_a_client_brings_about_is_none(gateway: Gateway, server: Upstream) -> None:
    """The time for all is over before the server has had the whole request."""
    server.script([read_head, hang])
    times = 'timeouts.total = "150ms"'
    serve(gateway, server, 'consecutive_failures = 1, open = "1m"', times)
    with gateway.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        assert client.read_response().status == 504
    assert (state(gateway)["state"], state(gateway)["calls"]) == ("closed", 0)


def test_nobody_at_home_is_a_failure(gateway: Gateway, server: Upstream) -> None:
    server.die()
    serve(gateway, server, 'consecutive_failures = 2, open = "1m"')
    assert [gateway.ask().status for _ in range(3)] == [502, 502, 503]


def test_too_slow(gateway: Gateway, server: Upstream) -> None:
    """Slow calls count although they end well."""
    server.script([read_request, _late, *GOOD[1:]])
    keys = 'slow_ratio = 1.0, slow = "20ms", min_calls = 2, open = "1m"'
    serve(gateway, server, keys)
    assert [gateway.ask().status for _ in range(3)] == [200, 200, 503]


async def _late(_: Connection) -> None:
    """A server that takes its time."""
    await asyncio.sleep(0.05)


def test_the_fallback(gateway: Gateway, server: Upstream) -> None:
    fallback = (
        '{ status = 200, body = "[]", '
        'headers = { Content-Type = "application/json", X-Source = "fallback" } }'
    )
    keys = f'consecutive_failures = 1, open = "1m", fallback = {fallback}'
    gateway.serve({"it": breaker(keys)}, servers=[server.port], listener="reason_header = true")
    assert gateway.ask().status == 500
    instead = gateway.ask()
    assert (instead.status, instead.body) == (200, b"[]")
    assert instead.value("content-type") == "application/json"
    assert instead.value("x-source") == "fallback"
    assert instead.value("x-trunkline-reason") == "breaker_open"
    assert [entry.get("reason") for entry in gateway.log(2)] == [None, "breaker_open"]


def test_probes_close_it(gateway: Gateway, server: Upstream) -> None:
    serve(gateway, server, 'consecutive_failures = 1, open = "400ms", probes = 2')
    assert [gateway.ask().status for _ in range(2)] == [500, 503]
    server.script(GOOD)
    wait_until(lambda: gateway.ask().status == 200, timeout_s=5, what="the first probe")
    assert state(gateway)["state"] == "half_open"
    assert gateway.ask().status == 200
    assert state(gateway)["state"] == "closed"


def test_one_probe_at_a_time(gateway: Gateway, server: Upstream) -> None:
    """And one that fails opens it again."""
    serve(gateway, server, 'consecutive_failures = 1, open = "400ms", probes = 1')
    assert [gateway.ask().status for _ in range(2)] == [500, 503]
    server.script([read_request, hang])
    wait_for_state(gateway, "half_open")
    with gateway.client() as probe:
        probe.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        server.wait_for_requests(2)
        assert gateway.ask().body == OPEN
        server.die()
        assert probe.read_response().status == 502
    assert gateway.ask().status == 503
    server.script(GOOD)
    server.come_back()
    wait_until(lambda: gateway.ask().status == 200, timeout_s=5, what="a probe that passes")
    assert state(gateway)["state"] == "closed"


def test_a_name_is_shared(gateway: Gateway, server: Upstream) -> None:
    keys = 'name = "shop-is-well", consecutive_failures = 1, open = "1m"'
    both = {name: f'path = "/{name}"\n{breaker(keys)}' for name in ("a", "b")}
    gateway.serve(both, servers=[server.port])
    assert [gateway.ask(path).status for path in ("/a", "/b")] == [500, 503]
    assert state(gateway, "shop-is-well")["state"] == "open"


def test_a_reload_does_not_forget(gateway: Gateway, server: Upstream) -> None:
    """Unless the breaker itself is another one."""
    keys = 'consecutive_failures = 1, open = "1m"'
    serve(gateway, server, keys)
    assert gateway.ask().status == 500
    gateway.change({"it": breaker(keys), "more": 'path = "/more"'}, servers=[server.port])
    assert gateway.ask().status == 503
    gateway.change({"it": breaker(keys + ", probes = 2")}, servers=[server.port])
    assert gateway.ask().status == 500


def test_what_a_later_filter_refuses_tells_it_nothing(gateway: Gateway, server: Upstream) -> None:
    steps = [
        '{ type = "circuit_breaker", consecutive_failures = 1, failures = [403] }',
        '{ type = "ip_access", deny = "127.0.0.1" }',
    ]
    gateway.serve({"it": f"filters = [{', '.join(steps)}]"}, servers=[server.port])
    assert [gateway.ask().status for _ in range(3)] == [403, 403, 403]
    assert (state(gateway)["state"], state(gateway)["calls"]) == ("closed", 0)
