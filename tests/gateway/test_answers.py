"""Filters that answer instead of a server: redirects, fixed answers, maintenance."""

from pathlib import Path

import pytest

from testkit.client import Client
from testkit.gateway import Gateway, seen
from testkit.upstream import Upstream, answer, response

REDIRECTS = {
    # keys of the filter, target, status, Location
    "another host": ('host = "new.example"', "/a?b=1", 302, "http://new.example/a?b=1"),
    "another scheme": ('scheme = "https", status = 301', "/a", 301, "https://a.example/a"),
    "another port": ('scheme = "https", port = 8443', "/a", 302, "https://a.example:8443/a"),
    "another path": ('path = "/new/{id}"', "/items/7?q", 302, "http://a.example/new/7?q"),
    "without query": ('path = "/", keep_query = false', "/items/7?q", 302, "http://a.example/"),
    "another prefix": (
        'strip_prefix = "/items", add_prefix = "/v2", status = 308',
        "/items/7",
        308,
        "http://a.example/v2/7",
    ),
    "by an expression": (
        'regex = { pattern = "^/items/([0-9]+)$", replace = "/item-{1}" }',
        "/items/7",
        302,
        "http://a.example/item-7",
    ),
    "two slashes are a path": (
        'host = "new.example"',
        "//evil.example/",
        302,
        "http://new.example//evil.example/",
    ),
}


@pytest.mark.parametrize("name", REDIRECTS)
def test_redirects(gateway: Gateway, name: str) -> None:
    keys, target, status, location = REDIRECTS[name]
    path = 'path = "/items/{id}"' if target.startswith("/items") else ""
    gateway.serve({"it": f'{path}\nfilters = [{{ type = "redirect", {keys} }}]'})
    answered = gateway.ask(target)
    assert (answered.status, answered.value("location")) == (status, location)
    assert answered.body == b""
    (entry,) = gateway.log()
    assert (entry["status"], "reason" in entry, gateway.failures()) == (status, False, 0)


def test_who_is_there_already_is_not_sent_round(gateway: Gateway) -> None:
    gateway.serve({"it": 'filters = [{ type = "redirect", host = "www.example" }]'})
    assert gateway.ask("/x", "Host: example").value("location") == "http://www.example/x"
    assert seen(gateway.ask("/x", "Host: WWW.example")).target == "/x"


def test_plain_requests_are_sent_to_https_and_keep_their_connection(gateway: Gateway) -> None:
    gateway.serve({"it": 'filters = [{ type = "https_redirect" }]'})
    with Client(gateway.port) as client:
        for number in range(2):
            raw = f"GET /{number} HTTP/1.1\r\nHost: a.example:{gateway.port}\r\n\r\n"
            answered = client.request(raw.encode())
            assert answered.status == 308
            assert answered.value("location") == f"https://a.example/{number}"


def test_a_fixed_answer(gateway: Gateway) -> None:
    keys = 'status = 410, headers = { X-A = ["1", "2"] }, body = "gone for good"'
    gateway.serve({"it": f'filters = [{{ type = "request_id" }}, {{ type = "respond", {keys} }}]'})
    answered = gateway.ask()
    assert (answered.status, answered.body) == (410, b"gone for good")
    assert answered.values("x-a") == ["1", "2"]
    assert answered.value("content-type") == "text/plain; charset=utf-8"
    assert answered.value("x-request-id")
    head = gateway.ask(method="HEAD")
    assert (head.status, head.body, head.value("content-length")) == (410, b"", "13")


def test_an_answer_from_a_file(gateway: Gateway) -> None:
    """Read when the configuration is loaded: a change counts from the next reload on."""
    file = gateway.trunkline.config_path.parent / "hello.html"
    api = {"it": 'filters = [{ type = "respond", body_file = "hello.html" }]'}
    file.write_text("<p>Grüße</p>")
    gateway.serve(api)
    assert gateway.ask().body == "<p>Grüße</p>".encode()
    assert gateway.ask().value("content-type") == "text/html; charset=utf-8"
    file.write_text("<p>new</p>")
    assert gateway.ask().body == "<p>Grüße</p>".encode()
    gateway.change(api)
    assert gateway.ask().body == b"<p>new</p>"


@pytest.mark.parametrize(("allowed", "passes"), [("127.0.0.0/8", True), ("10.0.0.0/8", False)])
def test_maintenance(gateway: Gateway, allowed: str, passes: bool) -> None:
    keys = f'allow = "{allowed}", retry_after = "90s", page = "<h1>soon</h1>"'
    gateway.serve({"it": f'filters = [{{ type = "maintenance", {keys} }}]'})
    answered = gateway.ask()
    if passes:
        assert seen(answered).target == "/"
        return
    assert (answered.status, answered.body) == (503, b"<h1>soon</h1>")
    assert answered.value("retry-after") == "90"
    assert answered.value("cache-control") == "no-store"
    assert answered.value("content-type") == "text/html; charset=utf-8"
    assert gateway.failures(reason="maintenance") == 1


def test_maintenance_is_switched_by_one_word(gateway: Gateway) -> None:
    gateway.serve({"it": 'filters = [{ type = "maintenance" }]'})
    assert gateway.ask().body == b'{"error":"maintenance","status":503}'
    gateway.change({"it": 'filters = [{ type = "maintenance", enabled = false }]'})
    assert seen(gateway.ask()).target == "/"


def test_the_upstreams_status_in_a_response_line(gateway: Gateway) -> None:
    edits = '{ set = { X-Origin = "{upstream_status} from {host} for {client_ip}" } }'
    keys = f'filters = [{{ type = "headers", response = {edits} }}]\nretry.attempts = 1'
    with Upstream(answer(response(b"", "503 Busy", "Connection: close"))) as server:
        gateway.serve({"it": keys}, servers=[server.port])
        assert gateway.ask().value("x-origin") == "503 from a.example for 127.0.0.1"
    assert gateway.ask().value("x-origin") == "000 from a.example for 127.0.0.1"


def test_a_path_rewritten_by_an_expression(gateway: Gateway) -> None:
    regex = '{ pattern = "^/v(?P<version>[0-9]+)/", replace = "/{id}/{version}/" }'
    gateway.serve({"it": f'path = "/v1/{{id}}"\nbackend.regex = {regex}'})
    assert seen(gateway.ask("/v1/a%2Fb?q=/v1/")).target == "/a%2Fb/1/a%2Fb?q=/v1/"


def test_an_explanation_tells_where_it_leads(gateway: Gateway) -> None:
    gateway.serve({"it": 'filters = [{ type = "redirect", host = "new.example" }]'})
    question = {"url": "http://a.example/x", "listener": gateway.listener}
    status, told = gateway.trunkline.admin("POST", "/explain", question)
    assert status == 200
    assert told["filters"][0]["detail"] == "http://new.example/x"
    assert told["refused"] == {"status": 302, "reason": "redirected"}


def test_a_page_that_is_no_text_is_refused(gateway: Gateway) -> None:
    folder = gateway.trunkline.config_path.parent
    (folder / "image.png").write_bytes(b"\x89PNG\xff")
    gateway.serve({"it": ""})
    wrong = {"it": 'filters = [{ type = "respond", body_file = "image.png" }]'}
    with pytest.raises(AssertionError, match="is not a text file"):
        gateway.change(wrong)
    assert seen(gateway.ask()).target == "/", "the old configuration keeps running"


def test_files_are_looked_for_beside_the_configuration(gateway: Gateway) -> None:
    missing = {"it": 'filters = [{ type = "maintenance", page_file = "none.html" }]'}
    expected = str(Path(gateway.trunkline.config_path.parent, "none.html"))
    with pytest.raises(AssertionError, match=expected):
        gateway.serve(missing)
