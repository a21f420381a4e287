"""A new certificate comes in by a reload: new connections get it, open ones notice nothing."""

import asyncio
import shutil
import ssl
import threading

import pytest

from testkit.certificates import DAY, Authority, Issued
from testkit.http2_client import Http2Client
from testkit.site import Program, Site
from testkit.tls import der, listener_tls, trusting
from testkit.upstream import Connection, Upstream, hang, read_head, read_request, send

GET = b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\n\r\n"


@pytest.fixture
def old(authority: Authority) -> Issued:
    """In files of its own, which a test may replace."""
    return authority.issue("current", ["site.example"])


@pytest.fixture
def site(program: Program, upstream: Upstream, old: Issued) -> Site:
    site = Site([upstream.port], listener=listener_tls(old))
    program.serve(site)
    return site


def replace(old: Issued, new: Issued) -> None:
    """Write another certificate and key into the files of the first."""
    shutil.copy(new.certificate, old.certificate)
    shutil.copy(new.key, old.key)


def shown(site: Site, context: ssl.SSLContext) -> bytes | None:
    with site.secure(context) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        return client.socket.getpeercert(binary_form=True)


def test_new_connections_get_the_new_one(
    program: Program, site: Site, authority: Authority, trust: ssl.SSLContext, old: Issued
) -> None:
    assert shown(site, trust) == der(old)
    new = authority.issue("next", ["site.example"])
    replace(old, new)
    assert shown(site, trust) == der(old), "nothing is read before the reload"
    program.serve(site)
    # Both workers, whatever the kernel's choice.
    assert {shown(site, trust) for _ in range(12)} == {der(new)}


async def echo(connection: Connection) -> None:
    while data := await connection.reader.read(65536):
        connection.writer.write(data)


def test_open_connections_go_on(
    program: Program, site: Site, authority: Authority, trust: ssl.SSLContext, old: Issued
) -> None:
    h2 = trusting(authority.ca, alpn=["h2"])
    with (
        site.secure(trust) as one,
        Http2Client(site.port, tls=h2, server_name="site.example") as two,
    ):
        assert one.request(GET).status == 200
        assert two.request().status == 200
        for number in range(3):
            replace(old, authority.issue(f"next-{number}", ["site.example"]))
            program.serve(site)
            assert one.request(GET).status == 200
            assert two.request().status == 200
        assert two.endpoint.goaway is None
    assert (
        program.trunkline.metric("trunkline_connections_total", listener=f"lb.http.{site.name}")
        == 2
    )


def test_a_tunnel_goes_on(
    *,
    program: Program,
    site: Site,
    authority: Authority,
    trust: ssl.SSLContext,
    old: Issued,
    upstream: Upstream,
) -> None:
    upstream.script([read_head, send(SWITCH), echo])
    with site.secure(trust) as client:
        assert client.request(UPGRADE).status == 101
        client.send(b"before")
        assert client.socket.recv(100) == b"before"
        replace(old, authority.issue("next-tunnel", ["site.example"]))
        program.serve(site)
        client.send(b"after")
        assert client.socket.recv(100) == b"after"


def test_a_response_in_the_middle_goes_on(
    *,
    program: Program,
    site: Site,
    authority: Authority,
    trust: ssl.SSLContext,
    old: Issued,
    upstream: Upstream,
) -> None:
    may_go_on = threading.Event()

    async def rest(connection: Connection) -> None:
        await asyncio.to_thread(may_go_on.wait, 5)
        connection.writer.write(b"second")

    start = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nfirst"
    upstream.script([read_request, send(start), rest, hang])
    with site.secure(trust) as client:
        client.send(GET)
        assert client.socket.recv(1000).startswith(b"HTTP/1.1 200")
        replace(old, authority.issue("next-half", ["site.example"]))
        program.serve(site)
        may_go_on.set()
        assert client.socket.recv(100).endswith(b"second")


@pytest.mark.parametrize("what", ["another key", "expired", "missing", "no key", "empty"])
def test_what_cannot_be_used_keeps_the_old_one(
    *,
    program: Program,
    site: Site,
    authority: Authority,
    trust: ssl.SSLContext,
    old: Issued,
    what: str,
) -> None:
    kept = der(old)
    match what:
        case "another key":
            shutil.copy(authority.issue("another", ["site.example"]).key, old.key)
            key, why = "key", f"{old.key}: is not the key of {old.certificate}"
        case "expired":
            gone = authority.issue("gone", ["site.example"], starts=-2 * DAY, ends=-DAY)
            replace(old, gone)
            key, why = "certificate", f"{old.certificate}: expired on "
        case "missing":
            old.certificate.unlink()
            key, why = "certificate", f"{old.certificate}: no such file"
        case "no key":
            shutil.copy(old.certificate, old.key)
            key, why = "key", f"{old.key}: holds no private key in PEM"
        case _:
            old.certificate.write_text("")
            key, why = "certificate", f"{old.certificate}: holds no certificate in PEM"
    (error,) = program.refused(site)
    assert error["key"] == f"lb.http.{site.name}.tls.certificates[0].{key}"
    assert error["message"].startswith(why)
    assert error["file"] == str(program.trunkline.config_path)
    line = program.trunkline.config_path.read_text().splitlines()[error["line"] - 1]
    assert line.startswith("tls.certificates = ")
    assert shown(site, trust) == kept
