"""Who speaks something else, breaks off, or takes too long: what it hears, what is counted."""

import select
import socket
import ssl
from collections.abc import Iterator

import pytest

from testkit.certificates import Issued
from testkit.client import Client
from testkit.procfs import fd_count, rss_bytes
from testkit.site import Program, Site
from testkit.tls import listener_tls, trusting
from testkit.upstream import OK, Upstream, forever, read_request, send
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n"
# RFC 8446 §5.1: handshake(22), a legacy version, a length; then ClientHello(1).
HELLO_START = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
HASTE = 'timeouts.request_head = "300ms"\n'
PACE_S = 0.05


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream([forever(read_request, send(OK))]) as server:
        yield server


@pytest.fixture
def site(program: Program, upstream: Upstream, certificate: Issued) -> Site:
    """Patient for 300 ms."""
    site = Site([upstream.port], listener=listener_tls(certificate) + HASTE)
    program.serve(site)
    return site


@pytest.mark.parametrize(
    "said",
    [GET, GET.replace(b"GET", b"OPTIONS"), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"G"],
    ids=["GET", "OPTIONS", "preface", "begun"],
)
def test_plain_http_on_a_tls_port(
    program: Program, site: Site, upstream: Upstream, said: bytes
) -> None:
    with site.client() as client:
        answer = client.request(said)
        assert answer.status == 400
        assert b"https://" in answer.body
        assert answer.value("Connection") == "close"
        client.half_close()
        assert client.is_closed()
    program.wait_for_failures(site, "tls_plain_http")
    assert upstream.connection_count == 0


def test_a_long_plain_request_is_answered_too(program: Program, site: Site) -> None:
    """The answer is not lost in the reset that unread bytes would cause."""
    with site.client() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
        )
        assert client.read_response().status == 400
    program.wait_for_failures(site, "tls_plain_http")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_on_a_plain_port(program: Program, upstream: Upstream, version: ssl.TLSVersion) -> None:
    site = Site([upstream.port])
    program.serve(site)
    with pytest.raises(ssl.SSLError, match=r"(?i)unexpected.message"):
        site.secure(trusting(only=version))
    program.wait_for_failures(site, "tls_on_plain_port")
    assert site.get().status == 200


@pytest.mark.parametrize(
    "said",
    [b"\x00" * 100, b"SSH-2.0-OpenSSH_9.2\r\n", b"\x80\x2e\x01\x00\x02", b"get / HTTP/1.1\r\n"],
    ids=["zeros", "ssh", "ssl2", "lower case"],
)
def test_garbage(program: Program, site: Site, said: bytes) -> None:
    """Is told so in TLS, as far as it understands it, and left."""
    with site.client() as client:
        client.send(said)
        # alert(21), version 3.1, 2 bytes: fatal(2).
        assert client.read_until_close()[:6] == b"\x15\x03\x01\x00\x02\x02"
    program.wait_for_failures(site, "tls_not_tls")


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\x16\x03\x01\x00\x04\x0b\x00\x00\x00",
        HELLO_START + b"\xff" * 506,
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff" + b"\x00" * 100,
    ],
    ids=["short hello", "another message", "nonsense", "empty record", "too long a record"],
)
def test_broken_handshakes(program: Program, site: Site, said: bytes) -> None:
    with site.client() as client:
        client.send(said)
        assert client.read_until_close().startswith(b"\x15\x03")
    program.wait_for_failures(site, "tls_handshake_failed")


def test_hello_without_end(program: Program, site: Site) -> None:
    """A handshake message has a limit, far below what its length could say."""
    record = b"\x16\x03\x01\x40\x00"
    with site.client() as client:
        client.send(record + b"\x01\xff\xff\xff" + b"x" * 16_380)
        for _ in range(20):
            if select.select([client.socket], [], [], PACE_S)[0]:
                break
            client.send(record + b"x" * 16_384)
        assert client.is_closed() or client.read_until_close()
    wait_until(lambda: program.failures(site) == 1, timeout_s=5, what="a failure")
    assert program.failures(site, reason="tls_handshake_timeout") == 0


@pytest.mark.parametrize("said", [HELLO_START, b"\x16", HELLO_START[:5]])
def test_a_handshake_that_stops(program: Program, site: Site, said: bytes) -> None:
    with site.client() as client:
        client.send(said)
        assert client.is_closed()
    program.wait_for_failures(site, "tls_handshake_timeout")


def test_a_handshake_that_trickles(program: Program, site: Site) -> None:
    """The time is for the whole of it."""
    with site.client() as client:
        client.send(HELLO_START)
        while not select.select([client.socket], [], [], PACE_S)[0]:
            client.send(b"x")
        assert client.is_closed()
    program.wait_for_failures(site, "tls_handshake_timeout")


def test_a_client_that_says_nothing(program: Program, site: Site) -> None:
    with site.client() as client:
        assert client.is_closed()
    wait_until(
        lambda: (
            program.trunkline.metric("trunkline_connections_open", listener=f"lb.http.{site.name}")
            == 0
        ),
        timeout_s=5,
        what="the end of the connection",
    )


@pytest.mark.parametrize("leave", [Client.close, Client.reset])
def test_a_client_that_thinks_better_of_it(program: Program, site: Site, leave: object) -> None:
    client = site.client()
    client.send(HELLO_START)
    assert callable(leave)
    leave(client)
    program.wait_for_failures(site, "tls_client_gone")


def test_a_client_that_does_not_believe_us(program: Program, site: Site, stranger: object) -> None:
    """It says so in an alert."""
    with pytest.raises(ssl.SSLCertVerificationError):
        site.secure(ssl.create_default_context())
    program.wait_for_failures(site, "tls_peer_alert")


def test_a_broken_record(program: Program, site: Site, trust: ssl.SSLContext) -> None:
    """After the handshake: bytes that do not decrypt end the connection with an alert."""
    with site.secure(trust) as client:
        assert client.request(GET).status == 200
        raw = socket.socket(fileno=client.socket.fileno())
        try:
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        finally:
            raw.detach()
        with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac"):
            client.socket.recv(100)
    assert site_serves(site, trust)


def site_serves(site: Site, trust: ssl.SSLContext) -> bool:
    with site.secure(trust) as client:
        return client.request(GET).status == 200


def test_nothing_is_left_of_them(
    program: Program, site: Site, trust: ssl.SSLContext, upstream: Upstream
) -> None:
    """Descriptors and memory return to what they were."""
    pid = program.trunkline.pid
    assert site_serves(site, trust)
    before_files, before_bytes = fd_count(pid), rss_bytes(pid)
    for _ in range(40):
        clients = [site.client() for _ in range(5)]
        for client, said in zip(
            clients, [HELLO_START, GET, b"\x00" * 50, b"", HELLO_START + b"x" * 506], strict=True
        ):
            client.send(said)
            client.reset()
    wait_until(lambda: fd_count(pid) <= before_files, timeout_s=5, what="the descriptors")
    assert rss_bytes(pid) - before_bytes < 4_000_000
    assert site_serves(site, trust)
