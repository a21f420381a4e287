"""gRPC-Web where something is wrong: the browser's client gets a status that it can read.

A refusal is a head with ``grpc-status`` and no body, whatever the reason.
"""

import base64

import httpx
import pytest

from testkit.client import Client
from testkit.faultproxy import FaultProxy, Then
from testkit.gateway import ECHO, Gateway
from testkit.grpcclient import Channel
from testkit.grpcserver import H2, GrpcServer
from testkit.grpcweb import BINARY, ORIGIN, TEXT, WebClient, framed, headers, written
from testkit.ports import free_port
from testkit.site import Program, Site
from testkit.upstream import Upstream
from testkit.waiting import wait_until

WEB = "grpc_web = true\n"
API = f'prefix = "/kit.Calls"\n{WEB}'
Form = tuple[int, str]


def request(method: str, content_type: str, body: bytes) -> bytes:
    """The same as bytes of HTTP/1.1."""
    lines = [f"{name}: {value}" for name, value in headers(content_type).items()]
    lines += ["host: a.example", f"content-length: {len(body)}"]
    head = "\r\n".join([f"POST /kit.Calls/{method} HTTP/1.1", *lines])
    return head.encode() + b"\r\n\r\n" + body


@pytest.fixture
def site(program: Program, server: GrpcServer) -> Site:
    """A route for one method, and a listener that takes small bodies only."""
    paths = 'regex = "/kit.Calls/(Echo|Join|Hang|Begin)"\n'
    web = Site([server.port], pool=H2, route=paths + WEB, listener='limits.body = "10KB"')
    program.serve(web)
    server.forget()
    return web


def test_no_route(client: WebClient) -> None:
    """Nobody has said that gRPC-Web is not spoken here."""
    assert client.call("Count", b"1").status == (12, "route_not_found")


def test_nobody_listens(program: Program, form: Form) -> None:
    site = Site([free_port()], pool=H2, route=WEB)
    program.serve(site)
    with WebClient(site.port, *form) as client:
        answers = [client.call("Echo", b"hello") for _ in range(2)]
    assert [answer.status for answer in answers] == [(14, "connect_failed")] * 2
    is_text = answers[0].fields["content-type"].startswith(TEXT)
    assert is_text == (client.content_type == TEXT)


def test_too_large(client: WebClient) -> None:
    assert client.call("Echo", bytes(20_000)).status == (8, "body_too_large")
    pieces = [written(framed(bytes(3_000)), client.content_type)] * 5
    assert client.post("Join", iter(pieces)).status == (8, "body_too_large")


def test_too_late(client: WebClient, server: GrpcServer) -> None:
    answer = client.call("Hang", b"", ("grpc-timeout", "200m"))
    # The server has the same deadline, and either may be first.
    assert answer.status[0] == 4
    assert server.wait_for_end() == ["Hang"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (framed(b"hello")[:-1], "grpc_message_truncated"),
        (framed(b"hello") + b"\0\0", "grpc_message_truncated"),
        (framed(b"grpc-status: 0\r\n", 0x80), "grpc_message_flags"),
        (framed(b"hello", 2), "grpc_message_flags"),
        (framed(b"hello") + b"\xff", "grpc_message_flags"),
        (b"<html>", "grpc_message_flags"),
    ],
)
def test_malformed_messages(
    client: WebClient, server: GrpcServer, body: bytes, reason: str
) -> None:
    answer = client.post("Join", written(body, client.content_type))
    assert answer.status == (13, reason)
    # The server, if it was told of the call, is told of its end.
    wait_until(
        lambda: len(server.received) == len(server.ended), timeout_s=10, what="the call's end"
    )


@pytest.mark.parametrize(
    "body",
    [
        base64.b64encode(framed(b"hello"))[:-1],
        base64.b64encode(framed(b"hello!!"))[:-2],
        b"!" + base64.b64encode(framed(b"hello"))[1:],
        base64.urlsafe_b64encode(framed(b"\xff\xff\xff")),
        base64.b64encode(framed(b"hello")) + b"\r\n",
        b"=" + base64.b64encode(framed(b"hello"))[1:],
        base64.b64encode(framed(b"hello")) + b"=",
        framed(b"hello"),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_malformed_base64(site: Site, body: bytes, version: int) -> None:
    with WebClient(site.port, version, TEXT) as client:
        assert client.post("Join", body).status == (13, "grpc_web_base64")


def test_the_server_dies_in_its_answer(program: Program, server: GrpcServer, form: Form) -> None:
    """The response has no end: nobody can take it for a whole one."""
    with FaultProxy(server.port) as faulty:
        site = Site([faulty.port], pool=H2, route=WEB)
        program.serve(site)
        version, content_type = form
        body = written(framed(b"begun"), content_type)
        sent = headers(content_type)
        with (
            WebClient(site.port, version, content_type) as client,
            client.http.stream("POST", "Begin", content=body, headers=sent) as response,
        ):
            pieces = response.iter_raw()
            assert next(pieces)
            faulty.end_connections(Then.RESET)
            with pytest.raises(httpx.RemoteProtocolError):
                list(pieces)


@pytest.mark.parametrize("content_type", [BINARY, TEXT])
def test_a_client_that_goes_away(site: Site, server: GrpcServer, content_type: str) -> None:
    body = written(framed(b"begun"), content_type)
    with WebClient(site.port, 2, content_type) as client:
        sent = headers(content_type)
        with client.http.stream("POST", "Begin", content=body, headers=sent) as response:
            assert next(response.iter_raw())
    assert server.wait_for_end() == ["Begin"]
    with Client(site.port) as leaving:
        leaving.send(request("Begin", content_type, body))
        assert leaving.socket.recv(1) == b"H"
        leaving.reset()
    assert server.wait_for_end(2) == ["Begin", "Begin"]


# --- routes without it ----------------------------------------------------------------------------


def test_calls_of_grpc_on_the_same_route(site: Site) -> None:
    with Channel(site.port) as channel:
        assert channel.echo() == b"hello"


def test_a_route_without_it_passes_everything_on(program: Program) -> None:
    """Whoever is behind us may speak it."""
    body = base64.b64encode(framed(b"hello"))
    with Upstream(ECHO) as upstream:
        site = Site([upstream.port])
        program.serve(site)
        url = f"http://127.0.0.1:{site.port}/kit.Calls/Echo"
        answer = httpx.post(url, content=body, headers=headers(TEXT))
    assert b"\r\ncontent-type: application/grpc-web-text\r\n" in answer.content.lower()
    assert answer.content.endswith(b"\r\n\r\n" + body)


# --- pages of other origins -----------------------------------------------------------------------

CORS = (
    f'{{ type = "cors", origins = ["{ORIGIN}"], methods = ["POST"], '
    'headers = ["Content-Type", "X-Grpc-Web", "X-User-Agent", "Grpc-Timeout"], '
    'expose = ["Grpc-Status", "Grpc-Message"], max_age = "10m" }'
)


def serve(gateway: Gateway, *filters: str) -> int:
    """An API for pages; its port."""
    gateway.serve({"web": f"{API}filters = [{', '.join([CORS, *filters])}]"}, pool=H2)
    return gateway.port


def may_read(fields: httpx.Headers) -> bool:
    """Whether a page of the allowed origin sees the answer with its status."""
    exposed = {name.strip().lower() for name in fields["access-control-expose-headers"].split(",")}
    allowed = fields["access-control-allow-origin"] == ORIGIN
    return allowed and {"grpc-status", "grpc-message"} <= exposed


def test_a_preflight(gateway: Gateway) -> None:
    port = serve(gateway, '{ type = "api_key" }')
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-grpc-web,x-user-agent",
    }
    url = f"http://127.0.0.1:{port}/kit.Calls/Echo"
    for http2 in (False, True):
        with httpx.Client(http1=not http2, http2=http2) as browser:
            answer = browser.options(url, headers=asked)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "x-grpc-web" in answer.headers["access-control-allow-headers"].lower()


def test_answers_for_pages_of_another_origin(gateway: Gateway, form: Form) -> None:
    with WebClient(serve(gateway), *form) as client:
        for method, message in (("Echo", b"hello"), ("Refuse", b"NOT_FOUND"), ("Count", b"3")):
            assert may_read(client.call(method, message).fields)


def test_refusals_for_pages_of_another_origin(gateway: Gateway, form: Form) -> None:
    port = serve(gateway, '{ type = "rate_limit", key = "ip", limit = 1, period = "1h" }')
    with WebClient(port, *form) as client:
        assert client.call("Echo", b"hello").messages == [b"hello"]
        answer = client.call("Echo", b"hello")
        assert answer.status == (8, "rate_limited")
        assert may_read(answer.fields)
    with WebClient(serve(gateway, '{ type = "api_key" }'), *form) as client:
        answer = client.call("Echo", b"hello")
        assert answer.status == (16, "api_key_missing")
        assert may_read(answer.fields)


# --- what it is on the wire -----------------------------------------------------------------------


def test_a_refusal_has_a_length(program: Program) -> None:
    """A client of HTTP/1.1 would wait for a body otherwise."""
    site = Site([free_port()], pool=H2, route=WEB)
    program.serve(site)
    with Client(site.port) as client:
        answer = client.request(request("Echo", BINARY, framed(b"hello")))
    assert (answer.status, answer.value("Content-Length")) == (200, "0")
    assert answer.value("grpc-status") == "14"
