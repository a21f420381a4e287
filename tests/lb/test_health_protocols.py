"""Checks of servers that speak TLS, HTTP/2 or gRPC, or that expect a PROXY header.

nginx, granian and grpcio are asked, and the status says what they said.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from testkit.certificates import Authority, Issued
from testkit.grpchealth import GrpcHealth
from testkit.peers import start_nginx
from testkit.ports import free_port, is_listening
from testkit.process import Process
from testkit.site import Program, Site, server
from testkit.upstream import Upstream, hang, read_head, send
from testkit.waiting import wait_until

DAY = timedelta(days=1)
TIMES = 'interval = "30ms", timeout = "400ms", rise = 1, fall = 1'


@dataclass(frozen=True)
class Peers:
    """One nginx that listens in several ways, and the authorities that it knows."""

    ours: Authority
    others: Authority
    client: Issued
    plain: int
    """HTTP/1.1 in the clear."""
    tls: int
    """HTTP/1.1 and HTTP/2 over TLS, for `127.0.0.1` and `good.example`."""
    tls1: int
    """HTTP/1.1 alone over TLS."""
    h2c: int
    """HTTP/2 alone in the clear."""
    expired: int
    """Over TLS with a certificate of yesterday."""
    asks: int
    """Over TLS; clients must show a certificate."""
    proxy: int
    """HTTP/1.1 behind a PROXY header, whose address it tells."""


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    folder = tmp_path_factory.mktemp("peers")
    ours, others = Authority(folder), Authority(folder, "others")
    good = ours.issue("good", ["127.0.0.1", "good.example"])
    expired = ours.issue("expired", ["127.0.0.1"], starts=-2 * DAY, ends=-DAY)
    ports = {name: free_port() for name in ("tls", "tls1", "h2c", "expired", "asks", "proxy")}
    more = f"""
        listen 127.0.0.1:{ports["tls"]} ssl http2;
        listen 127.0.0.1:{ports["h2c"]} http2;
        listen 127.0.0.1:{ports["proxy"]} proxy_protocol;
        ssl_certificate {good.certificate};
        ssl_certificate_key {good.key};
        ssl_protocols TLSv1.2 TLSv1.3;
        location /check {{ return 200 "alive at $server_port for <$proxy_protocol_addr>"; }}
        location /host {{ return 200 "as <$http_host> with <$ssl_server_name>"; }}
    }}
    server {{
        listen 127.0.0.1:{ports["tls1"]} ssl;
        ssl_certificate {good.certificate};
        ssl_certificate_key {good.key};
    }}
    server {{
        listen 127.0.0.1:{ports["asks"]} ssl;
        ssl_certificate {good.certificate};
        ssl_certificate_key {good.key};
        ssl_client_certificate {ours.ca};
        ssl_verify_client on;
        location /check {{ return 200; }}
    }}
    server {{
        listen 127.0.0.1:{ports["expired"]} ssl;
        ssl_certificate {expired.certificate};
        ssl_certificate_key {expired.key};
        location /check {{ return 200; }}
    """
    process, plain = start_nginx(folder, more)
    with process:
        yield Peers(ours, others, ours.issue("client"), plain=plain, **ports)


def serve(
    program: Program, to: int | str, *pool: str, kind: str = "http", health: str = ""
) -> Site:
    """A pool of one server (its port, or TOML) with these settings and this check."""
    path = 'path = "/check", ' if kind == "http" and "path" not in health else ""
    check = f'health = {{ kind = "{kind}", {path}{health and health + ", "}{TIMES} }}'
    site = Site([to], pool="\n".join([check, *pool]))
    program.serve(site)
    return site


def wait_for(program: Program, site: Site, detail: str, state: str) -> None:
    """The server is in this state, and its last check said this."""

    def told() -> dict[str, Any]:
        return program.servers(site)[0]

    try:
        wait_until(
            lambda: told()["state"] == state and detail in told()["check"],
            timeout_s=5,
            what=f"{state}: {detail}",
        )
    except TimeoutError as error:
        raise AssertionError(f"{error}; it is {told()}") from None


def is_up(program: Program, site: Site, detail: str) -> None:
    wait_for(program, site, detail, "eligible")


def is_down(program: Program, site: Site, detail: str) -> None:
    wait_for(program, site, detail, "unhealthy")


# --- TLS ------------------------------------------------------------------------------------------


def trusting(authority: Authority, more: str = "") -> str:
    return f'tls = {{ ca = "{authority.ca}"{more and ", " + more} }}'


H2 = 'protocol = "h2"'


@pytest.mark.parametrize("protocol", ['protocol = "http/1.1"', H2])
def test_over_tls(program: Program, peers: Peers, protocol: str) -> None:
    pool = (trusting(peers.ours), protocol)
    site = serve(program, peers.tls, *pool, health='body_contains = "alive"')
    is_up(program, site, "status 200")
    is_down(program, serve(program, peers.tls, *pool, health='path = "/no"'), "status 404")
    is_up(program, serve(program, peers.tls, *pool, kind="tcp"), "connected, TLSv1.3")
    site = serve(program, peers.tls, *pool, health='body_contains = "asleep"')
    is_down(program, site, 'status 200, body without "asleep"')


def test_certificates_that_are_not_believed(program: Program, peers: Peers) -> None:
    for kind in ("http", "tcp"):
        site = serve(program, peers.tls, trusting(peers.others), kind=kind)
        is_down(program, site, "certificate: UnknownIssuer")
    bad_name = trusting(peers.ours, 'server_name = "bad.example"')
    is_down(program, serve(program, peers.tls, bad_name), "certificate not valid for name")
    expired = serve(program, peers.expired, trusting(peers.ours))
    is_down(program, expired, "certificate: certificate expired")
    unverified = "tls = { verify = false }"
    is_up(program, serve(program, peers.expired, unverified), "status 200")


@pytest.mark.parametrize("protocol", ['protocol = "http/1.1"', H2])
def test_names(program: Program, peers: Peers, protocol: str) -> None:
    """SNI and certificate by `server_name` or the server's host; Host by that host or address."""

    def is_asked_as(host: str, to: int | str, tls: str, more: str = "") -> None:
        health = f'path = "/host", body_contains = "as <{host}> with <good.example>"{more}'
        is_up(program, serve(program, to, tls, protocol, health=health), "status 200")

    named = trusting(peers.ours, 'server_name = "good.example"')
    is_asked_as(f"127.0.0.1:{peers.tls}", peers.tls, named)
    is_asked_as("me.example", peers.tls, named, ', host = "me.example"')
    hosted = server(peers.tls, host="good.example")
    is_asked_as(f"good.example:{peers.tls}", hosted, trusting(peers.ours))
    bad = serve(program, server(peers.tls, host="bad.example"), trusting(peers.ours), protocol)
    is_down(program, bad, "certificate not valid for name")


def test_a_client_certificate(program: Program, peers: Peers) -> None:
    site = serve(program, peers.asks, trusting(peers.ours))
    is_down(program, site, "status 400")
    own = f'certificate = "{peers.client.certificate}", key = "{peers.client.key}"'
    is_up(program, serve(program, peers.asks, trusting(peers.ours, own)), "status 200")


def test_tls_on_one_side_only(program: Program, peers: Peers) -> None:
    is_down(program, serve(program, peers.plain, trusting(peers.ours)), "TLS: the handshake failed")
    is_down(program, serve(program, peers.tls), "status 400")


def test_no_agreement_on_h2(program: Program, peers: Peers, tmp_path: Path) -> None:
    """With a server that refuses, and with one that knows nothing of ALPN."""
    site = serve(program, peers.tls1, trusting(peers.ours), H2)
    is_down(program, site, "TLS: the peer refused: NoApplicationProtocol")
    port, own = free_port(), peers.client
    options = f"-accept 127.0.0.1:{port} -quiet -cert {own.certificate} -key {own.key}"
    command = ["openssl", "s_server", *options.split()]
    with Process(command, directory=tmp_path, name="openssl") as process:
        process.wait_ready(lambda: is_listening(port))
        site = serve(program, port, "tls = { verify = false }", H2)
        is_down(program, site, "TLS: the server does not speak h2 (ALPN)")


def test_new_files_under_the_same_configuration(
    program: Program, peers: Peers, tmp_path: Path
) -> None:
    """A reload reads them. What the operator has set stays."""
    ca = tmp_path / "ca.pem"
    ca.write_bytes(peers.ours.ca.read_bytes())
    site = serve(program, peers.tls, f'tls = {{ ca = "{ca}" }}')
    is_up(program, site, "status 200")
    program.change_server(site, peers.tls, weight=7)
    ca.write_bytes(peers.others.ca.read_bytes())
    program.serve(site)
    is_down(program, site, "certificate: UnknownIssuer")
    program.serve(site)
    assert program.servers(site)[0]["state"] == "unhealthy"
    assert program.servers(site)[0]["weight"] == 7
    program.change_server(site, peers.tls, draining=True)
    ca.write_bytes(peers.ours.ca.read_bytes())
    program.serve(site)
    wait_for(program, site, "status 200", "draining")


# --- HTTP/2 in the clear, PROXY protocol ----------------------------------------------------------


_APPLICATION = """
async def application(scope, receive, send):
    body = f"HTTP/{scope['http_version']} {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.fixture(scope="module")
def granian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a granian that speaks HTTP/2 only."""
    folder = tmp_path_factory.mktemp("granian")
    (folder / "served.py").write_text(_APPLICATION)
    port = free_port()
    options = f"--interface asginl --http 2 --host 127.0.0.1 --port {port}"
    command = [sys.executable, "-m", "granian", *options.split(), "served:application"]
    with Process(command, directory=folder, name="granian") as process:
        process.wait_ready(lambda: is_listening(port))
        yield port


def test_prior_knowledge(program: Program, peers: Peers, granian: int) -> None:
    site = serve(program, granian, H2, health='body_contains = "HTTP/2 /check"')
    is_up(program, site, "status 200")
    is_up(program, serve(program, peers.h2c, H2, health='body_contains = "alive"'), "status 200")
    is_up(program, serve(program, peers.h2c, H2, health='statuses = [404], path = "/no"'), "404")


def test_servers_of_http_1_are_named(program: Program, peers: Peers) -> None:
    is_down(program, serve(program, peers.plain, H2), "HTTP/2: the server speaks HTTP/1")


@pytest.mark.parametrize(
    ("steps", "detail"),
    [
        ([hang], "no answer within 400 ms"),
        ([read_head], "closed before the end of the response"),
        ([read_head, send(b"\0\0\0\4\0\0\0\0\0")], "closed before the end of the response"),
        ([send(b"SSH-2.0-OpenSSH_9.2\r\n"), hang], "HTTP/2: protocol_error"),
        ([send(b"\0\0\0\4\0\0\0\0\0" * 10_000), hang], "HTTP/2: enhance_your_calm"),
        ([send(b"\0\0\0\4\0\0\0\0\0\0\0\4\3\0\0\0\0\1\0\0\0\7"), hang], "refused_stream"),
        ([send(b"\0\0\0\4\0\0\0\0\0\0\0\x08\7" + bytes(16)), hang], "takes no request: no_error"),
    ],
)
def test_bad_http_2(program: Program, steps: list[Any], detail: str) -> None:
    with Upstream(steps) as upstream:
        site = serve(program, upstream.port, H2)
        is_down(program, site, detail)
        program.serve()


def test_proxy_headers(program: Program, peers: Peers) -> None:
    """Version 1 names our own address, version 2 says that nobody is behind the connection."""
    for version, address in (("v1", "127.0.0.1"), ("v2", "")):
        told = f'body_contains = "for <{address}>"'
        proxy = f'proxy_protocol = "{version}"'
        is_up(program, serve(program, peers.proxy, proxy, health=told), "status 200")
        is_down(program, serve(program, peers.plain, proxy), "status 400")


# --- gRPC -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def called(peers: Peers) -> Iterator[GrpcHealth]:
    with GrpcHealth(peers.ours.issue("grpc", ["127.0.0.1"])) as called:
        yield called


def test_what_a_grpc_server_says(program: Program, called: GrpcHealth) -> None:
    site = serve(program, called.port, H2, kind="grpc", health='service = "shop.Cart"')
    is_down(program, site, "grpc: NOT_FOUND")
    called.set("shop.Cart", "SERVING")
    is_up(program, site, "grpc: SERVING")
    called.set("shop.Cart", "NOT_SERVING")
    is_down(program, site, "grpc: NOT_SERVING")
    called.set("shop.Cart", "UNKNOWN")
    is_down(program, site, "grpc: serving status unknown")
    # The server as a whole is another matter.
    is_up(program, serve(program, called.port, H2, kind="grpc"), "grpc: SERVING")


def test_grpc_over_tls(program: Program, peers: Peers, called: GrpcHealth) -> None:
    site = serve(program, called.tls_port, trusting(peers.ours), H2, kind="grpc")
    is_up(program, site, "grpc: SERVING")
    site = serve(program, called.tls_port, trusting(peers.others), H2, kind="grpc")
    is_down(program, site, "certificate: UnknownIssuer")


def test_not_a_grpc_server(program: Program, peers: Peers, granian: int) -> None:
    site = serve(program, peers.h2c, H2, kind="grpc")
    is_down(program, site, "status 404 instead of a gRPC answer")
    is_down(program, serve(program, granian, H2, kind="grpc"), "grpc: no status")
    is_down(program, serve(program, peers.plain, H2, kind="grpc"), "the server speaks HTTP/1")
    is_down(program, serve(program, free_port(), H2, kind="grpc"), "connect: Connection refused")


def test_a_grpc_server_without_the_service(program: Program) -> None:
    with GrpcHealth(has_service=False) as called:
        site = serve(program, called.port, H2, kind="grpc")
        is_down(program, site, "grpc: UNIMPLEMENTED: Method not found!")
        program.serve()
