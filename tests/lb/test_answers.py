"""Routes that answer themselves: the keys of a route that the gateway has as filters."""

import pytest

from testkit.site import Program, Site
from testkit.upstream import Upstream, answer, response


@pytest.mark.parametrize(
    ("route", "status", "field", "value"),
    [
        ("https_redirect = true", 308, "location", "https://a.example/x?y"),
        (
            "https_redirect = { status = 301, port = 8443 }",
            301,
            "location",
            "https://a.example:8443/x?y",
        ),
        ('redirect = { host = "{header.X-To}.example" }', 302, "location", "http://b.example/x?y"),
        ('respond = { status = 200, body = "hi" }', 200, "content-length", "2"),
        ('maintenance = { retry_after = "5s" }', 503, "retry-after", "5"),
        ("maintenance = true", 503, "cache-control", "no-store"),
    ],
)
def test_answers(program: Program, route: str, status: int, field: str, value: str) -> None:
    site = Site([], route=route)
    site.config = site.config.replace(f'pool = "{site.name}"\n', "", 1).split("[lb.pools.")[0]
    program.serve(site)
    request = b"GET /x?y HTTP/1.1\r\nHost: a.example\r\nX-To: b\r\n\r\n"
    with site.client() as client:
        answered = client.request(request)
    assert (answered.status, answered.value(field)) == (status, value)


def test_what_is_let_pass_goes_to_the_pool(program: Program) -> None:
    script = answer(response(b"served", "200 OK", "Server: s", "Connection: close"))
    route = (
        'maintenance = { allow = "127.0.0.1" }\nredirect.host = "a.example"\n'
        'response_headers = { remove = "Server", set = { X-Status = "{upstream_status}" } }'
    )
    with Upstream(script) as server:
        site = Site([server.port], route=route)
        program.serve(site)
        with site.client() as client:
            answered = client.request(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
    assert answered.body == b"served"
    assert (answered.values("server"), answered.value("x-status")) == ([], "200")


def test_without_a_pool_what_is_let_pass_finds_no_server(program: Program) -> None:
    site = Site([], route='maintenance = { allow = "127.0.0.1" }')
    site.config = site.config.replace(f'pool = "{site.name}"\n', "", 1).split("[lb.pools.")[0]
    program.serve(site)
    answered = site.get()
    assert (answered.status, b"no_server" in answered.body) == (503, True)
