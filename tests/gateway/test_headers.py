"""Request ids, and header lines edited on the way up and down."""

import re

import pytest

from testkit.client import Response
from testkit.gateway import Gateway, seen
from testkit.upstream import Upstream, answer, response

MADE = re.compile("[0-9a-f]{32}")


def ids(gateway: Gateway, found: Response) -> set[str]:
    """The request's id as the client, the upstream and the log have it: one and the same."""
    entries = gateway.log()
    logged = [entry["request_id"] for entry in entries]
    return {found.value("x-request-id"), *seen(found).values("x-request-id"), logged[-1]}


def test_each_request_has_an_id(gateway: Gateway) -> None:
    gateway.serve({"it": 'filters = [{ type = "request_id" }]'})
    (first,) = ids(gateway, gateway.ask("/", "X-Request-Id: mine"))
    assert MADE.fullmatch(first)
    assert gateway.ask().value("x-request-id") != first


@pytest.mark.parametrize("own", ["mine", "a-b_c.d:e/f+g=@", "x" * 128])
def test_a_trusted_id(gateway: Gateway, own: str) -> None:
    gateway.serve({"it": 'filters = [{ type = "request_id", trust = true }]'})
    assert ids(gateway, gateway.ask("/", f"X-Request-Id: {own}")) == {own}


@pytest.mark.parametrize("own", ["", "two words", 'a"b', "x" * 129, "ä"])
def test_an_id_that_is_not_harmless(gateway: Gateway, own: str) -> None:
    gateway.serve({"it": 'filters = [{ type = "request_id", trust = true }]'})
    (made,) = ids(gateway, gateway.ask("/", f"X-Request-Id: {own}"))
    assert MADE.fullmatch(made)


def test_a_refusal_has_an_id_too(gateway: Gateway) -> None:
    gateway.serve({"it": 'filters = [{ type = "request_id" }, { type = "api_key" }]'})
    refused = gateway.ask()
    assert refused.status == 401
    assert gateway.log()[0]["request_id"] == refused.value("x-request-id")


EDITS = {
    # edits of the request, lines of the client, name, values at the upstream
    "remove": ('remove = ["X-A"]', ["X-A: 1", "x-a: 2"], "x-a", []),
    "set": ('set = { X-A = "new" }', ["X-A: 1", "x-a: 2"], "x-a", ["new"]),
    "set what is not there": ('set = { X-A = "new" }', [], "x-a", ["new"]),
    "add": ('add = { X-A = ["2", "3"] }', ["X-A: 1"], "x-a", ["1", "2", "3"]),
    "in this order": (
        'remove = "X-A", set = { X-A = "set" }, add = { X-A = "added" }',
        ["X-A: 1"],
        "x-a",
        ["set", "added"],
    ),
    "of the request": (
        'set = { X-A = "{method} {path} {query.q} {header.X-B} {id}" }',
        ["X-B: b"],
        "x-a",
        ["GET /items/7/8 a b b 7/8"],
    ),
    "what is absent": ('set = { X-A = "<{query.none}{consumer}>" }', [], "x-a", ["<>"]),
}


@pytest.mark.parametrize("name", EDITS)
def test_edits_on_the_way_up(gateway: Gateway, name: str) -> None:
    edits, lines, field, expected = EDITS[name]
    keys = f'path = "/items/{{id}}"\nfilters = [{{ type = "headers", request = {{ {edits} }} }}]'
    gateway.serve({"it": keys})
    answered = gateway.ask("/items/7%2F8?q=a+b", *lines)
    assert seen(answered).values(field) == expected


def test_edits_on_the_way_down(gateway: Gateway) -> None:
    fields = ["Server: secret/1.0", "X-A: theirs", "Set-Cookie: a=1", "Connection: close"]
    edits = (
        'remove = ["Server", "X-None"], set = { X-A = "ours of {path}" }, '
        'add = { Set-Cookie = "b=2", Strict-Transport-Security = "max-age=60" }'
    )
    with Upstream(answer(response(b"ok", "200 OK", *fields))) as server:
        keys = f'filters = [{{ type = "headers", response = {{ {edits} }} }}]'
        gateway.serve({"it": keys}, servers=[server.port])
        answered = gateway.ask("/x")
    assert answered.values("server") == []
    assert answered.values("x-a") == ["ours of /x"]
    assert answered.values("set-cookie") == ["a=1", "b=2"]
    assert answered.value("strict-transport-security") == "max-age=60"


def test_nothing_can_be_smuggled_into_a_header(gateway: Gateway) -> None:
    """Line ends that a client encoded stay encoded, up and down."""
    edits = '{ set = { X-A = "{query.q}" } }'
    keys = f'filters = [{{ type = "headers", request = {edits}, response = {edits} }}]'
    gateway.serve({"it": keys})
    answered = gateway.ask("/?q=a%0d%0aX-Admin:%201")
    assert answered.values("x-admin") == seen(answered).values("x-admin") == []
    assert answered.value("x-a") == seen(answered).values("x-a")[0]
    assert "%0d%0a" in answered.value("x-a").lower()
