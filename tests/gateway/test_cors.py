"""Cross-origin requests (Fetch standard §3.2): preflights, and who may read the answers."""

import json
from collections.abc import Iterator

import pytest

from testkit.client import Response
from testkit.gateway import Gateway
from testkit.upstream import Upstream, answer, response

LISTED = (
    'origins = ["https://app.example", "https://*.shop.example", "http://localhost:3000"], '
    'methods = ["GET", "PUT"], headers = ["Authorization", "X-A"], expose = ["X-Total"], '
    'credentials = true, max_age = "10m"'
)
ANY = 'origins = "*", headers = ["*"]'
VARY_PREFLIGHT = "Access-Control-Request-Method, Access-Control-Request-Headers"


@pytest.fixture
def own_policy() -> Iterator[Upstream]:
    """An upstream with a CORS policy of its own, which must not contradict ours."""
    fields = [
        "Access-Control-Allow-Origin: https://other.example",
        "Access-Control-Allow-Credentials: true",
        "Access-Control-Expose-Headers: X-Other",
        "Vary: Accept",
        "Connection: close",
    ]
    with Upstream(answer(response(b"data", "200 OK", *fields))) as server:
        yield server


def cors(keys: str, after: str = "") -> str:
    return f'methods = ["GET", "PUT"]\nfilters = [{{ type = "cors", {keys} }}, {after}]'


def preflight(gateway: Gateway, origin: str, method: str = "PUT", headers: str = "") -> Response:
    lines = [f"Origin: {origin}", f"Access-Control-Request-Method: {method}"]
    lines += [f"Access-Control-Request-Headers: {headers}"] if headers else []
    return gateway.ask("/x", *lines, method="OPTIONS")


def granted(found: Response) -> dict[str, str]:
    """The CORS fields, without their common start; each may come once."""
    start = "access-control-"
    names = [name for name, _ in found.fields if name.startswith(start)]
    return {name.removeprefix(start): found.value(name) for name in names}


@pytest.mark.parametrize(
    "origin",
    ["https://app.example", "https://a.shop.example", "https://a.b.shop.example"],
)
def test_a_preflight(gateway: Gateway, own_policy: Upstream, origin: str) -> None:
    """Answered here, although the API takes neither OPTIONS nor requests without a key."""
    gateway.serve({"it": cors(LISTED, '{ type = "api_key" }')}, servers=[own_policy.port])
    answered = preflight(gateway, origin, "PUT", "x-a, authorization")
    assert (answered.status, answered.body) == (204, b"")
    assert granted(answered) == {
        "allow-origin": origin,
        "allow-credentials": "true",
        "allow-methods": "GET, PUT",
        "allow-headers": "Authorization, X-A",
        "expose-headers": "X-Total",
        "max-age": "600",
    }
    assert answered.values("vary") == ["Origin", VARY_PREFLIGHT]
    assert own_policy.requests == []
    assert answered.values("content-length") == []
    # It is answered here, and nobody's failure.
    assert gateway.failures() == 0
    errors = gateway.trunkline.status()["recent_errors"]
    assert [entry for entry in errors if entry["listener"] == gateway.listener] == []


def test_a_preflight_where_everybody_may(gateway: Gateway) -> None:
    """A literal `*` would not cover Authorization, so what was asked for is granted."""
    gateway.serve({"it": cors(ANY)})
    answered = preflight(gateway, "https://x.example", "GET", "authorization,x-b")
    assert answered.status == 204
    assert granted(answered) == {
        "allow-origin": "*",
        "allow-methods": "GET, HEAD, POST",
        "allow-headers": "authorization,x-b",
    }
    assert answered.values("vary") == [VARY_PREFLIGHT]


REFUSED = {
    # origin, method, headers
    "another origin": ("https://evil.example", "GET", ""),
    "another scheme": ("http://app.example", "GET", ""),
    "another port": ("https://app.example:444", "GET", ""),
    "the domain of the subdomains": ("https://shop.example", "GET", ""),
    "one that ends alike": ("https://evilshop.example", "GET", ""),
    "one that begins alike": ("https://app.example.evil.example", "GET", ""),
    "null": ("null", "GET", ""),
    "another method": ("https://app.example", "DELETE", ""),
    "a method in small letters": ("https://app.example", "put", ""),
    "another header": ("https://app.example", "GET", "x-a, x-c"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_preflight_that_is_refused(gateway: Gateway, name: str) -> None:
    gateway.serve({"it": cors(LISTED)})
    answered = preflight(gateway, *REFUSED[name])
    assert (answered.status, json.loads(answered.body)["error"]) == (403, "cors_refused")
    assert "allow-methods" not in granted(answered)
    assert gateway.failures(reason="cors_refused") == 1


def test_an_answer_to_another_origin(gateway: Gateway, own_policy: Upstream) -> None:
    """Our policy takes the place of the upstream's; caches are told that it depends on Origin."""
    gateway.serve({"it": cors(LISTED)}, servers=[own_policy.port])
    answered = gateway.ask("/", "Origin: http://localhost:3000")
    assert (answered.status, answered.body) == (200, b"data")
    assert granted(answered) == {
        "allow-origin": "http://localhost:3000",
        "allow-credentials": "true",
        "expose-headers": "X-Total",
    }
    assert sorted(answered.values("vary")) == ["Accept", "Origin"]


@pytest.mark.parametrize("lines", [[], ["Origin: https://evil.example"]])
def test_an_answer_that_no_page_may_read(
    gateway: Gateway, own_policy: Upstream, lines: list[str]
) -> None:
    gateway.serve({"it": cors(LISTED)}, servers=[own_policy.port])
    answered = gateway.ask("/", *lines)
    assert (answered.status, granted(answered)) == (200, {})
    assert "Origin" in answered.values("vary")


def test_a_refusal_may_be_read_too(gateway: Gateway) -> None:
    """A page that gets a 401 must be able to see that it is one."""
    gateway.serve({"it": cors(LISTED, '{ type = "api_key" }')})
    answered = gateway.ask("/", "Origin: https://app.example")
    assert answered.status == 401
    assert granted(answered)["allow-origin"] == "https://app.example"


def test_options_that_is_no_preflight(gateway: Gateway, upstream: Upstream) -> None:
    gateway.serve({"it": cors(LISTED)})
    before = len(upstream.requests)
    assert gateway.ask("/", "Origin: https://app.example", method="OPTIONS").status == 200
    assert upstream.requests[before].startswith(b"OPTIONS / ")
