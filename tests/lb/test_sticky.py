"""Sticky sessions: a cookie keeps a client at its server while that may be used."""

import re
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import httpx
import pytest

from testkit.certificates import Authority
from testkit.client import Response
from testkit.gate import Gate, occupy
from testkit.site import Program, Site, server
from testkit.upstream import Upstream, forever, hang, read_request, response, send

KEY, OTHER_KEY = "0123456789abcdef" * 2, "fedcba9876543210" * 2
STICKY = f'sticky = {{ key = "{KEY}" }}'
# 48 bytes in base64url, and the attributes of the default.
SET = re.compile(r"trunkline=[A-Za-z0-9_-]{64}; Path=/; HttpOnly; SameSite=Lax")


def answering(name: str) -> list[Any]:
    return [forever(read_request, send(response(name.encode())))]


@pytest.fixture
def upstreams() -> Iterator[list[Upstream]]:
    """Three servers that answer with their number."""
    with ExitStack() as stack:
        yield [stack.enter_context(Upstream(answering(str(number)))) for number in range(3)]


@pytest.fixture
def site(program: Program, upstreams: list[Upstream]) -> Site:
    return serve(program, upstreams)


def serve(
    program: Program, upstreams: list[Upstream], pool: str = STICKY, listener: str = ""
) -> Site:
    site = Site([upstream.port for upstream in upstreams], pool=pool, listener=listener)
    program.serve(site)
    return site


def cookie_of(reply: Response) -> str:
    """The pair of the only Set-Cookie line, as a client sends it back."""
    return "Cookie: " + reply.value("set-cookie").split(";")[0]


def begin(site: Site) -> tuple[int, str]:
    """A new client: the number of its server, and its cookie as a line."""
    reply = site.get()
    assert SET.fullmatch(reply.value("set-cookie")), reply.fields
    return int(reply.body), cookie_of(reply)


def come_back(site: Site, cookie: str, times: int = 6) -> set[int]:
    """Which servers answer a client with this cookie; none sets another."""
    replies = [site.get("/", cookie) for _ in range(times)]
    assert [reply.values("set-cookie") for reply in replies] == [[]] * times
    return {int(reply.body) for reply in replies}


def moved(site: Site, cookie: str) -> tuple[int, str]:
    """The server that answers a client whose cookie is of no use, and the new cookie."""
    reply = site.get("/", cookie)
    assert SET.fullmatch(reply.value("set-cookie"))
    assert cookie_of(reply) != cookie
    return int(reply.body), cookie_of(reply)


def test_each_client_stays_at_its_server(site: Site) -> None:
    clients = [begin(site) for _ in range(6)]
    assert {number for number, _ in clients} == {0, 1, 2}
    for number, cookie in clients:
        assert come_back(site, cookie) == {number}


def test_among_other_cookies_and_lines(site: Site) -> None:
    number, cookie = begin(site)
    pair = cookie.removeprefix("Cookie: ")
    for lines in (
        [f"Cookie: a=b; {pair}; c=d"],
        ["Cookie: a=b", f"cookie: {pair}"],
        [f"Cookie: trunkline=old; {pair}"],
    ):
        replies = [site.get("/", *lines) for _ in range(4)]
        assert {int(reply.body) for reply in replies} == {number}
        assert [reply.values("set-cookie") for reply in replies] == [[]] * 4


def test_attributes(program: Program, upstreams: list[Upstream]) -> None:
    site = serve(
        program,
        upstreams,
        f'sticky = {{ name = "at", key = "{KEY}", max_age = "1h", path = "/shop",'
        ' domain = "a.example", http_only = false, secure = true, same_site = "strict" }',
    )
    line = site.get().value("set-cookie")
    expected = "; Path=/shop; Domain=a.example; Max-Age=3600; SameSite=Strict; Secure"
    assert re.fullmatch(rf"at=[\w-]{{64}}{expected}", line)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: "x" + value[1:],
        lambda value: value[:-1] + ("x" if value[-1] != "x" else "y"),
        lambda value: value[:-4],
        lambda value: value + "AAAA",
        lambda _: "",
        lambda _: "%00" * 20,
    ],
)
def test_a_cookie_that_was_tampered_with_is_none(site: Site, change: Any) -> None:
    _, cookie = begin(site)
    name, value = cookie.split("=", 1)
    moved(site, f"{name}={change(value)}")


def test_a_cookie_of_another_pool_is_none(
    program: Program, upstreams: list[Upstream], site: Site
) -> None:
    _, cookie = begin(site)
    moved(serve(program, upstreams), cookie)


def test_a_server_that_dies(site: Site, upstreams: list[Upstream]) -> None:
    """The retry answers, and is remembered from then on, though the first one comes back."""
    number, cookie = begin(site)
    upstreams[number].die()
    after, new_cookie = moved(site, cookie)
    assert after != number
    upstreams[number].come_back()
    assert come_back(site, new_cookie) == {after}
    assert come_back(site, cookie) == {number}


@pytest.mark.parametrize("change", [{"draining": True}, {"enabled": False}, {"weight": 0}])
def test_a_server_that_is_taken_out(
    program: Program, site: Site, upstreams: list[Upstream], change: dict[str, Any]
) -> None:
    number, cookie = begin(site)
    program.change_server(site, upstreams[number].port, **change)
    assert moved(site, cookie)[0] != number


def test_a_server_that_is_full(program: Program) -> None:
    """Nobody waits for it: there are others."""
    gate = Gate(response(b"0"), path="/slow")
    with Upstream(gate.script) as first, Upstream(answering("1")) as second:
        rooms = [server(first.port, max_connections=1), server(second.port)]
        site = Site(rooms, pool=STICKY)
        program.serve(site)
        clients = [begin(site), begin(site)]
        cookie = next(cookie for number, cookie in clients if number == 0)
        with ThreadPoolExecutor(1) as threads:
            asked = occupy(threads, site, gate, "/slow")
            assert asked.done() is False
            assert moved(site, cookie)[0] == 1
            gate.open()
        assert come_back(site, cookie) == {0}


def test_over_a_reload(program: Program, upstreams: list[Upstream], site: Site) -> None:
    """The name of a server is what counts, not its place in the list."""
    clients = [begin(site) for _ in range(3)]
    ports = [upstream.port for upstream in upstreams]
    site.change([ports[2], ports[0], ports[1]], pool=STICKY)
    program.serve(site)
    for number, cookie in clients:
        assert come_back(site, cookie) == {number}
    site.change(ports[:1], pool=STICKY)
    program.serve(site)
    cookie = next(cookie for number, cookie in clients if number == 2)
    assert moved(site, cookie)[0] == 0


def test_keys_change_without_forgetting_anybody(
    program: Program, upstreams: list[Upstream], site: Site
) -> None:
    """An old key is believed, and its cookie replaced by one of the new key."""
    number, cookie = begin(site)
    ports = [upstream.port for upstream in upstreams]
    keys = program.trunkline.directory / "sticky.keys"

    def sign_with(*lines: str) -> None:
        keys.write_text("\n".join(lines))
        site.change(ports, pool='sticky = { key_file = "sticky.keys" }')
        program.serve(site)

    sign_with(OTHER_KEY, KEY)
    reply = site.get("/", cookie)
    assert int(reply.body) == number
    renewed = cookie_of(reply)
    sign_with(OTHER_KEY)
    assert come_back(site, renewed) == {number}
    moved(site, cookie)


ANSWERS = {
    "an error": response(b"no", "500 Internal Server Error"),
    "a redirection": response(b"", "302 Found", "Location: /"),
    "nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "after an interim one": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response(),
    "its own cookie": response(b"ok", "200 OK", "Set-Cookie: own=1"),
}


@pytest.mark.parametrize("kind", list(ANSWERS))
def test_every_answer_of_a_server_has_it(program: Program, kind: str) -> None:
    with Upstream([forever(read_request, send(ANSWERS[kind]))]) as upstream:
        site = serve(program, [upstream])
        with site.client() as client:
            reply = client.request(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            if reply.status == 103:
                assert reply.values("set-cookie") == []
                reply = client.read_response()
        own, line = ["own=1"] if kind == "its own cookie" else [], reply.values("set-cookie")[-1]
        assert reply.values("set-cookie") == [*own, line]
        assert SET.fullmatch(line)
        again = site.get("/", "Cookie: " + line.split(";")[0])
        assert again.values("set-cookie") == own


def test_head(site: Site) -> None:
    with site.client() as client:
        reply = client.request(b"HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n", "HEAD")
        assert SET.fullmatch(reply.value("set-cookie"))


def test_a_tunnel(program: Program) -> None:
    switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
    with Upstream([read_request, send(switched), hang]) as upstream:
        site = serve(program, [upstream])
        asked = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
        with site.client() as client:
            assert SET.fullmatch(client.request(asked.encode()).value("set-cookie"))


def test_an_upload(site: Site) -> None:
    head = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
    with site.client() as client:
        client.send(head.encode())
        reply = client.request(b"2\r\nab\r\n0\r\n\r\n")
        assert SET.fullmatch(reply.value("set-cookie"))
        number = reply.body
    with site.client() as client:
        client.send(head.replace("\r\n\r\n", f"\r\n{cookie_of(reply)}\r\n\r\n").encode())
        reply = client.request(b"2\r\nab\r\n0\r\n\r\n")
        assert (reply.body, reply.values("set-cookie")) == (number, [])


def test_our_own_answers_have_none(program: Program, upstreams: list[Upstream]) -> None:
    site = serve(program, upstreams[:1])
    upstreams[0].die()
    reply = site.get()
    assert (reply.status, reply.values("set-cookie")) == (502, [])


def test_http2(site: Site) -> None:
    url = f"http://127.0.0.1:{site.port}/"
    with httpx.Client(http1=False, http2=True, timeout=5) as client:
        first = client.get(url)
        assert first.http_version == "HTTP/2"
        assert SET.fullmatch(first.headers["set-cookie"])
        # httpx keeps the cookie; with others it goes in fields of its own (RFC 9113 §8.2.3).
        client.cookies.set("other", "x")
        replies = [client.get(url) for _ in range(6)]
    assert {reply.text for reply in replies} == {first.text}
    assert all("set-cookie" not in reply.headers for reply in replies)


def test_http2_to_the_servers(program: Program, upstreams: list[Upstream]) -> None:
    """Through another listener of ours, which speaks it."""
    behind = [Site([upstream.port]) for upstream in upstreams]
    site = Site([site.port for site in behind], pool=f'protocol = "h2"\n{STICKY}')
    program.serve(site, *behind)
    number, cookie = begin(site)
    assert come_back(site, cookie) == {number}


def test_secure_over_tls(program: Program, upstreams: list[Upstream], tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("site", ["localhost"])
    pair = f'{{ certificate = "{issued.certificate}", key = "{issued.key}" }}'
    site = serve(program, upstreams, listener=f"tls = {{ certificates = [{pair}] }}")
    context: ssl.SSLContext = authority.client_context()
    connection = HTTPSConnection("localhost", site.port, context=context, timeout=5)
    connection.request("GET", "/")
    reply = connection.getresponse()
    line = reply.getheader("set-cookie") or ""
    assert SET.fullmatch(line.removesuffix("; Secure"))
    assert line.endswith("; Secure")
    connection.close()


def test_explained(program: Program, site: Site, upstreams: list[Upstream]) -> None:
    number, cookie = begin(site)

    def explain(*lines: str) -> dict[str, Any]:
        question = {
            "url": "/",
            "headers": [line.split(": ", 1) for line in lines],
            "listener": f"lb.http.{site.name}",
        }
        told: dict[str, Any] = program.trunkline.admin("POST", "/explain", question)[1]["server"]
        return told

    name = f"127.0.0.1:{upstreams[number].port}"
    told = explain(cookie)
    assert (told["name"], told["why"]) == (name, "the cookie trunkline remembers it")
    program.change_server(site, upstreams[number].port, draining=True)
    assert explain(cookie)["name"] != name
