"""What the server is told and what it is not: targets, hop-by-hop fields, who the client is.

Requests come from 127.0.0.1; whether that is a trusted network depends on the listener.
"""

import re

import pytest

from testkit.client import Client
from testkit.upstream import Upstream, answer, response
from vectors.http1_row import get, host, request_line

HOP_BY_HOP = {
    "Keep-Alive": "timeout=5",
    "Proxy-Connection": "keep-alive",
    "TE": "trailers",
    "Proxy-Authorization": "Basic eA==",
    "Upgrade": "nothing",
}
END_TO_END = ["Accept: */*", "Cookie: a=b; c=d", "Authorization: Bearer x", "X-Odd_Name.1: ä, ö"]
# RFC 7239 §4: for=127.0.0.1;host="test";proto=http, in any order.
OWN_ELEMENT = 'for=127.0.0.1;host="test";proto=http'


class Seen:
    """A request as the server got it."""

    def __init__(self, raw: bytes) -> None:
        head = raw.partition(b"\r\n\r\n")[0].decode("utf-8")
        self.request_line, *self.lines = head.split("\r\n")

    @property
    def target(self) -> str:
        return self.request_line.split(" ")[1]

    def values(self, name: str) -> list[str]:
        pairs = (line.split(": ", 1) for line in self.lines)
        return [value for found, value in pairs if found.lower() == name.lower()]


def seen_after(client: Client, upstream: Upstream, raw: bytes) -> Seen:
    assert client.request(raw).status == 200
    return Seen(upstream.requests[-1])


def through(ports: dict[str, int], listener: str, upstream: Upstream, *fields: str) -> Seen:
    """What the server sees of a GET with these fields."""
    with Client(ports[listener]) as client:
        return seen_after(client, upstream, get(*[field.encode() for field in fields]))


# --- targets ---


@pytest.mark.parametrize(
    ("target", "forwarded"),
    [
        ("/", "/"),
        ("/a/b?c=d&e=%20f", "/a/b?c=d&e=%20f"),
        ("/a?", "/a?"),
        ("/a//b", "/a//b"),
        ("/a/./b/../c", "/a/c"),
        ("/a/%2e%2e/b", "/b"),
        ("/%7euser/%2f", "/~user/%2F"),
        ("/a?b=/../c", "/a?b=/../c"),
        ("http://test", "/"),
        ("http://test/a?b", "/a?b"),
        ("http://test?b", "/?b"),
    ],
)
def test_target(target: str, forwarded: str, client: Client, upstream: Upstream) -> None:
    raw = request_line(f"GET {target} HTTP/1.1".encode())
    assert seen_after(client, upstream, raw).request_line == f"GET {forwarded} HTTP/1.1"


def test_asterisk_target(client: Client, upstream: Upstream) -> None:
    raw = request_line(b"OPTIONS * HTTP/1.1")
    assert seen_after(client, upstream, raw).target == "*"


@pytest.mark.parametrize("authority", ["test", "TEST:8080", "[::1]:80", "127.0.0.1"])
def test_host_stays_as_it_is(authority: str, client: Client, upstream: Upstream) -> None:
    assert seen_after(client, upstream, host(authority.encode())).values("Host") == [authority]


def test_host_of_an_absolute_target(client: Client, upstream: Upstream) -> None:
    seen = seen_after(client, upstream, b"GET http://test:80/a HTTP/1.1\r\nHost: test:80\r\n\r\n")
    assert seen.values("Host") == ["test:80"]


# --- fields ---


def test_end_to_end_fields_pass_in_order(ports: dict[str, int], upstream: Upstream) -> None:
    seen = through(ports, "silent", upstream, *END_TO_END)
    assert seen.lines == ["Host: test", *END_TO_END]


def test_repeated_fields_stay_apart(ports: dict[str, int], upstream: Upstream) -> None:
    assert through(ports, "plain", upstream, "X-A: 1", "X-A: 2").values("X-A") == ["1", "2"]


@pytest.mark.parametrize(("name", "value"), HOP_BY_HOP.items())
def test_hop_by_hop_request_fields_end_here(
    name: str, value: str, ports: dict[str, int], upstream: Upstream
) -> None:
    assert through(ports, "plain", upstream, f"{name}: {value}").values(name) == []


@pytest.mark.parametrize("connection", ["X-Hop", "x-hop", "keep-alive, X-HOP", "close,X-Hop"])
def test_fields_named_by_connection_end_here(
    connection: str, ports: dict[str, int], upstream: Upstream
) -> None:
    seen = through(ports, "plain", upstream, f"Connection: {connection}", "X-Hop: 1", "X-Stay: 2")
    assert seen.values("X-Hop") == seen.values("Connection") == []
    assert seen.values("X-Stay") == ["2"]


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-For", "X-Forwarded-Proto"])
def test_connection_cannot_strike_out_the_proxys_fields(
    name: str, ports: dict[str, int], upstream: Upstream
) -> None:
    assert len(through(ports, "plain", upstream, f"Connection: {name}").values(name)) == 1


def test_hop_by_hop_response_fields_end_here(client: Client, upstream: Upstream) -> None:
    fields = ["Connection: X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Authenticate: x"]
    upstream.script(answer(response(b"ok", "200 OK", *fields, "X-Stay: 2")))
    reply = client.request(get())
    assert [name for name, _ in reply.fields] == ["x-stay", "date", "content-length"]


def test_end_to_end_response_fields_pass_in_order(client: Client, upstream: Upstream) -> None:
    fields = ["Server: x", "Set-Cookie: a=b", "Set-Cookie: c=d", "Date: today", "Via: 1.1 inner"]
    upstream.script(answer(response(b"ok", "200 OK", *fields)))
    received = [f"{name}: {value}" for name, value in client.request(get()).fields[:-1]]
    assert received == [field.split(":")[0].lower() + field[field.index(":") :] for field in fields]


# --- who the client is ---


def test_x_forwarded(ports: dict[str, int], upstream: Upstream) -> None:
    seen = through(ports, "plain", upstream)
    assert seen.values("X-Forwarded-For") == ["127.0.0.1"]
    assert seen.values("X-Forwarded-Proto") == ["http"]
    assert seen.values("X-Forwarded-Host") == ["test"]
    assert seen.values("Forwarded") == []


CLAIMS = [
    "X-Forwarded-For: 203.0.113.9, 192.0.2.1",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: shop.example",
]


def test_x_forwarded_of_strangers_is_replaced(ports: dict[str, int], upstream: Upstream) -> None:
    seen = through(ports, "plain", upstream, *CLAIMS, "Forwarded: for=203.0.113.9")
    assert seen.values("X-Forwarded-For") == ["127.0.0.1"]
    assert seen.values("X-Forwarded-Proto") == ["http"]
    assert seen.values("X-Forwarded-Host") == ["test"]
    assert seen.values("Forwarded") == []


def test_x_forwarded_of_trusted_peers_is_continued(
    ports: dict[str, int], upstream: Upstream
) -> None:
    seen = through(ports, "trusting", upstream, *CLAIMS, "X-Forwarded-For: 198.51.100.7")
    assert seen.values("X-Forwarded-For") == [
        "203.0.113.9, 192.0.2.1, 198.51.100.7, 127.0.0.1",
    ]
    assert seen.values("X-Forwarded-Proto") == ["https"]
    assert seen.values("X-Forwarded-Host") == ["shop.example"]


def test_forwarded(ports: dict[str, int], upstream: Upstream) -> None:
    seen = through(ports, "standard", upstream)
    assert seen.values("Forwarded") == [OWN_ELEMENT]
    assert seen.values("X-Forwarded-For") == []


def test_forwarded_of_strangers_is_replaced(ports: dict[str, int], upstream: Upstream) -> None:
    seen = through(ports, "standard", upstream, "Forwarded: for=203.0.113.9", *CLAIMS)
    assert seen.values("Forwarded") == [OWN_ELEMENT]
    assert seen.values("X-Forwarded-For") == seen.values("X-Forwarded-Host") == []


def test_forwarded_of_trusted_peers_is_continued(ports: dict[str, int], upstream: Upstream) -> None:
    lines = ['Forwarded: for="[2001:db8::1]:80"', "Forwarded: for=203.0.113.9;proto=https"]
    seen = through(ports, "trusting_standard", upstream, *lines)
    assert seen.values("Forwarded") == [
        f'for="[2001:db8::1]:80", for=203.0.113.9;proto=https, {OWN_ELEMENT}'
    ]


OTHER_CLAIMS = {
    "X-Real-IP": "203.0.113.9",
    "X-Client-IP": "203.0.113.9",
    "True-Client-IP": "203.0.113.9",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Ssl": "on",
    "X-Forwarded-Server": "shop.example",
    "X-Forwarded-Prefix": "/admin",
    "X-Original-URL": "/admin",
    "X-Rewrite-URL": "/admin",
}


@pytest.mark.parametrize("name", OTHER_CLAIMS)
@pytest.mark.parametrize(
    ("listener", "passes"),
    [("plain", False), ("standard", False), ("trusting", True), ("silent", True)],
)
def test_other_claims_pass_from_trusted_peers_only(
    name: str, listener: str, passes: bool, ports: dict[str, int], upstream: Upstream
) -> None:
    """Frameworks believe them; without forwarding they are the client's own."""
    claim = f"{name}: {OTHER_CLAIMS[name]}"
    seen = through(ports, listener, upstream, claim, "X-Stay: 1")
    assert seen.values(name) == [OTHER_CLAIMS[name]] * passes
    assert seen.values("X-Stay") == ["1"]


FOLDED = [
    "X_Forwarded_For: 203.0.113.9",
    "X-Forwarded_For: 203.0.113.9",
    "X_Real_IP: 203.0.113.9",
    "CONTENT_LENGTH: 5",
    "transfer_encoding: chunked",
    "Proxy_Authorization: Basic eA==",
    "X_Request_Id: mine",
]


@pytest.mark.parametrize("line", FOLDED)
@pytest.mark.parametrize("listener", ["plain", "trusting", "silent"])
def test_names_that_servers_fold_into_known_ones_end_here(
    line: str, listener: str, ports: dict[str, int], upstream: Upstream
) -> None:
    """CGI and WSGI make one variable of `-` and `_` (RFC 3875 §4.1.18)."""
    seen = through(ports, listener, upstream, line, "X_Stay: 1")
    assert line not in seen.lines
    assert "X_Stay: 1" in seen.lines


def test_without_forwarding_fields_are_the_clients_own(
    ports: dict[str, int], upstream: Upstream
) -> None:
    seen = through(ports, "silent", upstream, *CLAIMS)
    assert [line for line in seen.lines if line.startswith("X-Forwarded")] == CLAIMS


# --- Via and X-Request-Id ---


def test_no_via_unless_configured(client: Client, upstream: Upstream) -> None:
    reply = client.request(get())
    assert Seen(upstream.requests[0]).values("Via") == reply.values("Via") == []


def test_via_both_ways(ports: dict[str, int], upstream: Upstream) -> None:
    upstream.script(answer(response(b"ok", "200 OK", "Via: 1.0 inner")))
    with Client(ports["trusting"]) as client:
        reply = client.request(get(b"Via: 1.0 outer"))
    assert Seen(upstream.requests[0]).values("Via") == ["1.0 outer, 1.1 edge"]
    assert reply.values("Via") == ["1.0 inner", "1.1 edge"]


def test_request_id_is_made(ports: dict[str, int], upstream: Upstream) -> None:
    ids = set()
    for _ in range(10):
        (made,) = through(ports, "trusting", upstream).values("X-Request-Id")
        assert re.fullmatch("[0-9a-f]{32}", made)
        ids.add(made)
    assert len(ids) == 10


def test_request_id_is_passed_on(ports: dict[str, int], upstream: Upstream) -> None:
    seen = through(ports, "trusting", upstream, "X-Request-Id: the-clients-own")
    assert seen.values("X-Request-Id") == ["the-clients-own"]


def test_request_id_is_not_made_unless_configured(
    ports: dict[str, int], upstream: Upstream
) -> None:
    assert through(ports, "plain", upstream).values("X-Request-Id") == []


def test_options_of_a_whole_server(client: Client, upstream: Upstream) -> None:
    """RFC 9112 §3.2.4: an absolute target without a path is `*` for the last server."""
    client.request(request_line(b"OPTIONS http://test HTTP/1.1"))
    assert upstream.requests[0].startswith(b"OPTIONS * HTTP/1.1\r\n")


def test_via_names_the_clients_version(ports: dict[str, int], upstream: Upstream) -> None:
    """RFC 9110 §7.6.3: the version that was received, not the one that is sent."""
    with Client(ports["trusting"]) as client:
        client.request(b"GET / HTTP/1.0\r\nHost: test\r\n\r\n")
    assert b"\r\nVia: 1.0 edge\r\n" in upstream.requests[0]


def test_via_names_the_servers_version(ports: dict[str, int], upstream: Upstream) -> None:
    upstream.script(answer(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    with Client(ports["trusting"]) as client:
        assert client.request(get()).value("Via") == "1.0 edge"
