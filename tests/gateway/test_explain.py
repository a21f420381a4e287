"""What would happen to a request: which API and why, each filter's verdict, which server.

The word of a running gateway is held against what then happens.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from testkit.gateway import ECHO, Gateway
from testkit.upstream import Upstream

CONSUMERS = 'consumers = { alice.keys = ["key"], bob.keys = ["other"] }'
FILTERS = """
filters = [
    { type = "request_id" },
    { type = "ip_access", deny = "203.0.113.9" },
    { type = "api_key", consumers = "alice" },
    { type = "rate_limit", key = "consumer", limit = 2, period = "1d" },
    { type = "circuit_breaker", consecutive_failures = 1, failures = [200], open = "1m" },
    { type = "size_limit", head = "1KB" },
]
"""
NAMES = ["request_id", "ip_access", "api_key", "rate_limit", "circuit_breaker", "size_limit"]
KEY = "X-API-Key: key"


def run(gateway: Gateway, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command; it finds the gateway by the state folder."""
    state = {"TRUNKLINE_STATE_DIR": str(gateway.trunkline.directory / "state")}
    command = [sys.executable, "-P", "-m", "trunkline", "explain", "http", *arguments]
    return subprocess.run(
        [*command, "--listener", gateway.listener],
        env={**os.environ, **state},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def explain(
    gateway: Gateway, target: str, *lines: str, method: str = "GET", client: str = ""
) -> Any:
    """The answer of the admin API, which is what the command prints."""
    question = {
        "method": method,
        "url": f"http://a.example{target}",
        "headers": [line.split(": ", 1) for line in lines],
        "listener": gateway.listener,
    }
    given = {"client": client} if client else {}
    status, answer = gateway.trunkline.admin("POST", "/explain", question | given)
    assert status == 200, answer
    return answer


def verdicts(explained: Any) -> list[Any]:
    return [step["verdict"] for step in explained["filters"]]


@pytest.fixture
def servers() -> Iterator[list[Upstream]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Upstream(ECHO)) for _ in range(3)]


def test_the_route_and_why_not_the_others(gateway: Gateway) -> None:
    gateway.serve(
        {
            "item": 'path = "/orders/{id}"',
            "orders": 'prefix = "/orders"',
            "beta": 'path = "/orders/{id}"\nheaders.X-Stage = "beta"\nquery.v.present = true',
            "write": 'path = "/orders/{id}"\nmethods = ["PUT", "DELETE"]',
            "shop": 'host = "shop.example"\npath = "/orders/{id}"',
        }
    )
    explained = explain(gateway, "/orders/7", "X-Stage: alpha")
    assert explained["listener"] == gateway.listener
    assert explained["route"] == gateway.api("item")
    assert explained["outranked"] == [gateway.api("orders")]
    assert explained["near_misses"] == [
        {"route": gateway.api("write"), "failed": ["method: wanted PUT or DELETE, got GET"]},
        {"route": gateway.api("shop"), "failed": ["host: wanted shop.example, got a.example"]},
        {
            "route": gateway.api("beta"),
            "failed": [
                "header X-Stage: wanted `beta`, got `alpha`",
                "query v: wanted any value, got nothing",
            ],
        },
    ]


def test_no_route(gateway: Gateway) -> None:
    apis = {"read": 'path = "/orders"\nmethods = "GET"', "other": 'prefix = "/o/x"'}
    gateway.serve(apis)
    nothing = explain(gateway, "/order")
    assert nothing["route"] is None
    assert nothing["refused"] == {"status": 404, "reason": "route_not_found"}
    assert nothing["near_misses"][0] == {
        "route": gateway.api("read"),
        "failed": ["path: wanted exactly /orders, got /order"],
    }
    method = explain(gateway, "/orders", method="PATCH")
    assert method["refused"] == {"status": 405, "reason": "method_not_allowed", "allow": ["GET"]}


def test_a_request_that_cannot_be_read(gateway: Gateway) -> None:
    gateway.serve({"it": ""})
    assert explain(gateway, "/../x")["refused"] == {"status": 400, "reason": "bad_target"}


def test_a_path_that_would_climb(gateway: Gateway) -> None:
    """The rewrite is tried: explained is what then happens."""
    gateway.serve({"it": 'backend.path = "/in/{query.p}"'})
    assert gateway.ask("/?p=..").status == 400
    assert explain(gateway, "/?p=..")["refused"] == {"status": 400, "reason": "rewrite_unsafe"}
    assert "refused" not in explain(gateway, "/?p=x")


REFUSALS = {
    # lines, client → position of the filter that refuses, its verdict
    "client": ([KEY], "203.0.113.9", 1, {"status": 403, "reason": "ip_denied"}),
    "no key": ([], "", 2, {"status": 401, "reason": "api_key_missing"}),
    "wrong key": (["X-API-Key: x"], "", 2, {"status": 401, "reason": "api_key_unknown"}),
    "another's": (["X-API-Key: other"], "", 2, {"status": 403, "reason": "consumer_forbidden"}),
    "long": ([KEY, f"X: {'x' * 1024}"], "", 5, {"status": 431, "reason": "head_too_large"}),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_which_filter_says_no(gateway: Gateway, name: str) -> None:
    lines, client, position, refusal = REFUSALS[name]
    gateway.serve({"it": FILTERS}, gateway=CONSUMERS)
    explained = explain(gateway, "/", *lines, client=client)
    assert [step["filter"] for step in explained["filters"]] == NAMES
    rest = ["not_reached"] * (len(NAMES) - position - 1)
    assert verdicts(explained) == ["continue"] * position + [refusal] + rest
    assert explained["refused"] == refusal
    assert "server" not in explained


def test_asking_counts_nothing(gateway: Gateway) -> None:
    """The limit of two is told as often as one likes; then it is used, and the breaker opens."""
    gateway.serve({"it": FILTERS}, gateway=CONSUMERS)
    for _ in range(3):
        explained = explain(gateway, "/", KEY)
        assert verdicts(explained) == ["continue"] * 6
        assert [step["detail"] for step in explained["filters"][1:5]] == [
            "client 127.0.0.1",
            "consumer alice",
            "1 of 2 left after this request",
            "closed, 0 of 0 calls failed",
        ]
    assert gateway.ask("/", KEY).status == 200
    explained = explain(gateway, "/", KEY)
    assert explained["filters"][3]["detail"] == "0 of 2 left after this request"
    assert explained["filters"][4]["verdict"] == {"status": 503, "reason": "breaker_open"}
    assert gateway.ask("/", KEY).status == 503
    explained = explain(gateway, "/", KEY)
    assert explained["filters"][3]["verdict"] == {"status": 429, "reason": "rate_limited"}
    assert explained["filters"][3]["detail"].startswith("retry in ")
    assert gateway.failures() == 1


def test_the_true_client(gateway: Gateway) -> None:
    gateway.serve(
        {"it": FILTERS}, gateway=CONSUMERS, listener='forwarding.trusted = ["10.0.0.0/8"]'
    )
    line = "X-Forwarded-For: 203.0.113.9"
    believed = explain(gateway, "/", KEY, line, client="10.0.0.1")
    assert (believed["client"], verdicts(believed)[1]["reason"]) == ("203.0.113.9", "ip_denied")
    assert explain(gateway, "/", KEY, line, client="192.0.2.1")["client"] == "192.0.2.1"


def test_the_server_by_hash_is_the_one_that_gets_it(
    gateway: Gateway, servers: list[Upstream]
) -> None:
    """The same key always goes to the same server, and `explain` names it."""
    pool = 'algorithm = "consistent_hash"\nhash_key = "header:X-User"'
    gateway.serve({"it": ""}, servers=[server.port for server in servers], pool=pool)
    for user in ("ann", "ben", "cid", "dan"):
        line = f"X-User: {user}"
        chosen = explain(gateway, "/", line)["server"]
        assert "the same key always gets it" in chosen["why"]
        before = {server.port: len(server.requests) for server in servers}
        gateway.ask("/", line)
        (asked,) = (server for server in servers if len(server.requests) > before[server.port])
        assert chosen["name"] == f"127.0.0.1:{asked.port}"


def test_servers_that_are_out(gateway: Gateway, servers: list[Upstream]) -> None:
    ports = [server.port for server in servers]
    gateway.serve({"it": ""}, servers=ports)
    changes: list[dict[str, object]] = [{"draining": True}, {"weight": 0}, {"enabled": False}]
    states = ["eligible"] * 3
    for at, (port, change) in enumerate(zip(ports, changes, strict=True)):
        explained = explain(gateway, "/")
        assert [server["state"] for server in explained["servers"]] == states
        assert explained["server"]["name"] == f"127.0.0.1:{ports[at]}"
        assert "round_robin over the eligible servers" in explained["server"]["why"]
        path = f"/pools/{gateway.pool}/servers/127.0.0.1:{port}"
        states[at] = gateway.trunkline.admin("PATCH", path, change)[1]["state"]
    explained = explain(gateway, "/")
    assert explained["server"] == {"name": None, "why": "no server of the pool is eligible"}
    assert [server["state"] for server in explained["servers"]] == states
    assert states[:2] == ["draining", "weight_zero"]
    assert gateway.ask().status == 503


def test_for_programs(gateway: Gateway) -> None:
    """The command's JSON is the admin API's answer."""
    gateway.serve({"it": FILTERS}, gateway=CONSUMERS)
    url = "http://a.example/x?y=1"
    done = run(gateway, "PUT", url, "-H", KEY, "--client", "203.0.113.9", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told == explain(gateway, "/x?y=1", KEY, method="PUT", client="203.0.113.9")
    assert verdicts(told)[1] == {"status": 403, "reason": "ip_denied"}


def test_for_people(gateway: Gateway) -> None:
    """The same as an outline, in plain text."""
    gateway.serve(
        {"it": FILTERS, "beta": 'prefix = "/"\nheaders.X-Stage = "beta"'}, gateway=CONSUMERS
    )
    done = run(gateway, "get", "http://a.example/x")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.strip() for line in done.stdout.splitlines()]
    for line in (
        f"route: {gateway.api('it')}",
        "- header X-Stage: wanted `beta`, got nothing",
        "filter: api_key",
        "reason: api_key_missing",
        "verdict: not_reached",
        "refused:",
        "status: 401",
    ):
        assert line in lines
