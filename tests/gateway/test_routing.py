"""Named APIs: which requests they take, in which order, what the back end gets; and no API."""

import pytest

from testkit.client import Client
from testkit.gateway import Gateway, seen
from testkit.ports import free_port
from testkit.upstream import Upstream

# API → its keys. The targets below are asked of all of them together.
APIS = {
    "urgent": 'prefix = "/urgent"\npriority = 1',
    "exact": 'path = "/users/me"',
    "template": 'path = "/users/{id}"',
    "two_literals": 'path = "/users/{id}/orders"',
    "rest": 'path = "/users/{*rest}"',
    "prefix": 'prefix = "/users"',
    "longer_prefix": 'prefix = "/users/v2"',
    "regex": r'regex = "/u.*"',
    "written": 'path = "/users/{id}"\nmethods = ["PUT", "DELETE"]',
    "beta": 'path = "/users/{id}"\nheaders.X-Stage = "beta"',
    "beta_of_ten": 'path = "/users/{id}"\nheaders.X-Stage = "beta"\nquery.page.prefix = "10"',
    "canary": 'path = "/users/{id}"\ncookies.stage = "canary"\nheaders.X-Stage = "beta"',
    "shop": 'host = "shop.example"\nprefix = "/users"',
    "shops": 'host = "*.shop.example"\nprefix = "/"',
    "north": 'host = "*.north.shop.example"\nprefix = "/"',
}
CASES = [
    # target, lines besides Host, method, API
    ("/urgent/x", [], "GET", "urgent"),
    ("/urgent", ["Host: shop.example"], "GET", "urgent"),
    ("/users/me", [], "GET", "exact"),
    ("/users/7", [], "GET", "template"),
    ("/users/a%2Fb", [], "GET", "template"),
    ("/users/7/orders", [], "GET", "two_literals"),
    ("/users/7/invoices", [], "GET", "rest"),
    ("/users/v2/x", [], "GET", "rest"),
    ("/users", [], "GET", "prefix"),
    ("/users/", [], "GET", "prefix"),
    ("/usersx", [], "GET", "regex"),
    ("/users/./7/../me", [], "GET", "exact"),
    ("/%75sers/me", [], "GET", "exact"),
    ("/users/7", [], "DELETE", "written"),
    ("/users/me", [], "PUT", "exact"),
    ("/users/7", ["X-Stage: beta"], "GET", "beta"),
    ("/users/7", ["x-stage: Beta"], "GET", "template"),
    ("/users/7?page=101", ["X-Stage: beta"], "GET", "beta_of_ten"),
    ("/users/7?page=2&p%61ge=10", ["X-Stage: beta"], "GET", "beta_of_ten"),
    ("/users/7?page=2", ["X-Stage: beta"], "GET", "beta"),
    ("/users/7", ["X-Stage: beta", "Cookie: id=7; stage=canary"], "GET", "canary"),
    ("/users/7", ["X-Stage: beta", "Cookie: id=7; stage=canary2"], "GET", "beta"),
    ("/users/7", ["Host: shop.example"], "GET", "shop"),
    ("/users/me", ["Host: SHOP.example:80"], "GET", "shop"),
    ("/users/me", ["Host: a.b.shop.example"], "GET", "shops"),
    ("/users/me", ["Host: a.north.shop.example"], "GET", "north"),
    ("/users/me", ["Host: north.shop.example"], "GET", "shops"),
]


def test_which_api(gateway: Gateway) -> None:
    named = {name: f'{keys}\nbackend.headers.set.X-Api = "{name}"' for name, keys in APIS.items()}
    gateway.serve(named)
    for target, lines, method, api in CASES:
        answer = gateway.ask(target, *lines, method=method)
        assert seen(answer).values("x-api") == [api], (method, target, lines)
    chosen = [entry["route"] for entry in gateway.log(len(CASES))]
    assert chosen == [gateway.api(case[3]) for case in CASES]


def test_among_equals_the_one_declared_first(gateway: Gateway) -> None:
    for first, second in (("a", "b"), ("b", "a")):
        gateway.serve(
            {
                first: f'regex = "/x.*{first}?"\nbackend.add_prefix = "/{first}"',
                second: f'regex = "/x.*{second}?"\nbackend.add_prefix = "/{second}"',
            }
        )
        assert seen(gateway.ask("/xy")).target == f"/{first}/xy"


BACKENDS = {
    # API's keys, target, what the upstream is asked
    "as it came": ("", "/a/b?c=d", "GET /a/b?c=d"),
    "parameters": (
        'path = "/orders/{id}/items/{item}"\nbackend.path = "/v2/{item}/of/{id}"',
        "/orders/7/items/a%2Fb?x=1",
        "GET /v2/a%2Fb/of/7?x=1",
    ),
    "the rest": (
        'path = "/files/{*rest}"\nbackend.path = "/store/{rest}"',
        "/files/a/b/c",
        "GET /store/a/b/c",
    ),
    "groups of a regex": (
        'regex = "/v(?P<version>[0-9]+)/.*"\nbackend.path = "/{version}"',
        "/v12/x",
        "GET /12",
    ),
    "prefixes": (
        'prefix = "/api"\nbackend = { strip_prefix = "/api", add_prefix = "/internal" }',
        "/api/a",
        "GET /internal/a",
    ),
    "method": ('backend.method = "POST"', "/", "POST /"),
    "query": (
        'backend.query = { remove = "a", set = { b = "{header.X-B}", c = "{method} {host}" } }',
        "/?a=1&b=2&d=%41",
        "GET /?d=%41&b=1%262&c=GET%20a.example",
    ),
    "a query of its own": (
        'backend.query = { clear = true, set = { page = "{query.p}" } }',
        "/?p=a%26b&x=y",
        "GET /?page=a%26b",
    ),
}


@pytest.mark.parametrize("name", BACKENDS)
def test_what_the_back_end_is_asked(gateway: Gateway, name: str) -> None:
    keys, target, expected = BACKENDS[name]
    gateway.serve({"it": keys})
    request = seen(gateway.ask(target, "X-B: 1&2"))
    assert f"{request.method} {request.target}" == expected


def test_headers_for_the_back_end(gateway: Gateway) -> None:
    gateway.serve(
        {
            "it": 'path = "/orders/{id}"\nbackend.host = "{query.shop}.internal"\n'
            'backend.headers.remove = ["X-Secret"]\n'
            'backend.headers.set = { X-Id = "{id}", X-From = "{client_ip}", X-Brace = "{{x}}" }\n'
            'backend.headers.add = { X-Many = ["1", "{scheme}"] }'
        }
    )
    request = seen(gateway.ask("/orders/a%0Ab?shop=x", "X-Secret: s", "X-Id: mine", "X-Many: 0"))
    assert request.values("host") == ["x.internal"]
    assert request.values("x-secret") == []
    assert request.values("x-id") == ["a%0Ab"]
    assert request.values("x-from") == ["127.0.0.1"]
    assert request.values("x-brace") == ["{x}"]
    assert request.values("x-many") == ["0", "1", "http"]


UNSAFE = {
    # keys of the back end, target
    "parent": ('path = "/in/{query.p}"', "/?p=.."),
    "encoded parent": ('path = "/in/{query.p}"', "/?p=%2e%2E"),
    "parent before an encoded slash": ('path = "/in/{query.p}"', "/?p=../admin"),
    "parent before a backslash": ('path = "/in/{query.p}"', "/?p=..%5Cadmin"),
    "here": ('path = "/in/{query.p}/x"', "/?p=."),
    "out of two values": ('path = "/in/{query.p}{query.q}"', "/?p=.&q=."),
    "a host with a path": ('host = "{query.h}"', "/?h=a/b"),
    "a host with a user": ('host = "{query.h}.internal"', "/?h=x@y"),
    "a host with a line end": ('host = "{query.h}"', "/?h=a%0d%0aX:%20y"),
    "no host": ('host = "{query.h}"', "/"),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_what_a_client_sent_builds_nothing_dangerous(
    gateway: Gateway, upstream: Upstream, name: str
) -> None:
    keys, target = UNSAFE[name]
    gateway.serve({"it": f"backend = {{ {keys} }}"})
    before = len(upstream.requests)
    answer = gateway.ask(target)
    assert (answer.status, answer.body) == (400, b'{"error":"rewrite_unsafe","status":400}')
    assert gateway.failures(reason="rewrite_unsafe") == 1
    assert len(upstream.requests) == before


def test_a_value_stays_one_segment(gateway: Gateway) -> None:
    gateway.serve({"it": 'backend.path = "/in/{query.p}/end"'})
    request = seen(gateway.ask("/?p=a/admin?x=y%23z%20%25"))
    assert request.target == "/in/a%2Fadmin%3Fx%3Dy%23z%20%25/end?p=a/admin?x=y%23z%20%25"


def test_nobody_takes_it(gateway: Gateway) -> None:
    """The answer tells nothing of the routes; the log tells which came close, closest first."""
    gateway.serve(
        {
            "orders": 'prefix = "/orders"\nheaders.X-Version = "2"',
            "shop": 'host = "shop.example"\nprefix = "/x"',
        },
        listener="reason_header = true",
    )
    answer = gateway.ask("/orders/7", "X-Version: 1")
    assert (answer.status, answer.body) == (404, b'{"error":"route_not_found","status":404}')
    assert answer.value("x-trunkline-reason") == "route_not_found"
    (entry,) = gateway.log()
    assert (entry["status"], entry["reason"]) == (404, "route_not_found")
    assert "route" not in entry
    assert entry["detail"] == (
        f"{gateway.api('orders')} (header X-Version: wanted `2`, got `1`), "
        f"{gateway.api('shop')} (host: wanted shop.example, got a.example; "
        "path: wanted prefix /x, got /orders/7)"
    )


def test_another_method_would_do(gateway: Gateway) -> None:
    gateway.serve(
        {
            "read": 'path = "/orders"\nmethods = ["GET", "HEAD"]',
            "write": 'path = "/orders"\nmethods = "POST"',
            "other": 'path = "/other"\nmethods = "DELETE"',
        }
    )
    answer = gateway.ask("/orders", method="PUT", body="x")
    assert (answer.status, answer.value("allow")) == (405, "GET, HEAD, POST")
    assert gateway.failures(reason="method_not_allowed") == 1
    assert gateway.ask("/orders", method="POST").status == 200


def test_an_api_is_offered_where_it_says(gateway: Gateway) -> None:
    inner_port = free_port()
    inner = f'[gateway.http.inner]\nlisten = "127.0.0.1:{inner_port}"'
    apis = {"everywhere": 'path = "/a"', "elsewhere": 'path = "/b"\nlisteners = "inner"'}
    gateway.serve(apis, gateway=inner)
    with Client(inner_port) as client:
        inside = [
            client.request(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            for path in ("/a", "/b")
        ]
    outside = [gateway.ask(path) for path in ("/a", "/b")]
    assert [answer.status for answer in inside + outside] == [200, 200, 200, 404]
    assert gateway.log(2)[0]["route"].startswith(f"{gateway.api('everywhere')}@site")
