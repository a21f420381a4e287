"""Headers in front of clients' connections: whose address counts, what closes the connection."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testkit.certificates import Authority
from testkit.client import Client
from testkit.gateway import ECHO
from testkit.http2 import PREFACE
from testkit.http2_client import Http2Client
from testkit.peers import write_haproxy_config
from testkit.ports import free_port, is_listening
from testkit.process import Process
from testkit.procfs import fd_count
from testkit.proxyheader import (
    ALPN,
    AUTHORITY,
    CRC32C,
    LOCAL,
    NOOP,
    PROXY,
    SIGNATURE,
    SSL,
    SSL_VERSION,
    TCP4,
    TCP6,
    UNIQUE_ID,
    UNIX,
    UNSPEC,
    addresses,
    block,
    summed,
    tlv,
    v1,
    v2,
)
from testkit.site import Program, Site
from testkit.tls import listener_tls, trusting
from testkit.upstream import Upstream
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
CLIENT, US = ("203.0.113.7", 40_000), ("198.51.100.1", 443)
CLIENT6, US6 = ("2001:db8::7", 40_000), ("2001:db8::1", 443)
TLVS = [
    tlv(ALPN, b"h2"),
    tlv(AUTHORITY, b"shop.example"),
    tlv(UNIQUE_ID, b"\x01\x02"),
    tlv(SSL, b"\x01\0\0\0\0" + tlv(SSL_VERSION, b"TLSv1.3")),
    tlv(NOOP, bytes(50)),
    tlv(0xE0, b"a vendor's own"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with Upstream(ECHO) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def site(program: Program, server: Upstream) -> Site:
    """All connections begin with a header."""
    site = Site([server.port], listener='proxy_protocol = { timeout = "300ms" }')
    program.serve(site)
    return site


Serve = Callable[[str], Site]


@pytest.fixture
def serve(program: Program, site: Site, upstream: Upstream) -> Serve:
    """Makes another site beside it, with these keys of the listener."""

    def served(listener: str) -> Site:
        other = Site([upstream.port], listener=listener)
        program.serve(other, site)
        return other

    return served


def told(client: Client) -> str:
    """Whom the server takes for the client."""
    answer = client.request(GET)
    assert answer.status == 200
    lines = answer.body.decode().split("\r\n")
    (value,) = [line[17:] for line in lines if line.startswith("X-Forwarded-For: ")]
    return value


def told_after(site: Site, header: bytes) -> str:
    with site.client() as client:
        client.send(header)
        return told(client)


def closed(site: Site, said: bytes) -> bytes:
    """What is said before the connection is closed."""
    with site.client() as client:
        client.send(said)
        try:
            return client.read_until_close()
        except ConnectionResetError:
            return b""


GOOD = {
    "v1": (v1(CLIENT, US), "203.0.113.7"),
    "v1 of IPv6": (v1(CLIENT6, US6), "2001:db8::7"),
    "v1, mapped": (v1(("::ffff:203.0.113.7", 1), ("::ffff:198.51.100.1", 2)), "203.0.113.7"),
    "v1, unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "v1, unknown with more": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1"),
    "v2": (v2(CLIENT, US), "203.0.113.7"),
    "v2 of IPv6": (v2(CLIENT6, US6), "2001:db8::7"),
    "v2 with vectors": (v2(CLIENT, US, TLVS), "203.0.113.7"),
    "v2 with a checksum": (summed(v2(CLIENT, US)), "203.0.113.7"),
    "v2 with everything": (summed(v2(CLIENT6, US6, TLVS)), "2001:db8::7"),
    "v2 with 4 KB": (v2(CLIENT, US, [tlv(NOOP, bytes(4_000))]), "203.0.113.7"),
    "v2, local": (block(b"", command=LOCAL, family=UNSPEC), "127.0.0.1"),
    "v2, local with addresses": (block(addresses(CLIENT, US), command=LOCAL), "127.0.0.1"),
    "v2, unspecified": (block(b"", family=UNSPEC), "127.0.0.1"),
    "v2, unix": (block(bytes(216), family=UNIX), "127.0.0.1"),
}


@pytest.mark.parametrize(("header", "expected"), GOOD.values(), ids=GOOD)
def test_whose_address_counts(site: Site, header: bytes, expected: str) -> None:
    assert told_after(site, header) == expected


@pytest.mark.parametrize("name", ["v1", "v2 with everything"])
def test_byte_by_byte(site: Site, name: str) -> None:
    header, expected = GOOD[name]
    with site.client() as client:
        client.send_bytewise(header)
        assert told(client) == expected


@pytest.mark.parametrize("name", ["v1", "v2 of IPv6", "v2 with 4 KB"])
def test_in_one_piece_with_requests(site: Site, name: str) -> None:
    header, expected = GOOD[name]
    with site.client() as client:
        client.send(header + GET * 3)
        bodies = [client.read_response().body for _ in range(3)]
    assert all(b"\r\nX-Forwarded-For: %s\r\n" % expected.encode() in body for body in bodies)


def test_the_whole_connection(program: Program, serve: Serve) -> None:
    """All requests on it are that client's, in the access log, too."""
    site = serve("proxy_protocol = true")
    with site.client() as client:
        client.send(v2(CLIENT, US))
        assert [told(client) for _ in range(3)] == ["203.0.113.7"] * 3
    assert {entry["client"] for entry in program.log(site, 3)} == {"203.0.113.7"}


def test_over_http2(site: Site, server: Upstream) -> None:
    with Http2Client(site.port, greets=False) as client:
        client.send(v2(CLIENT6, US6) + PREFACE + b"\0\0\0\4\0\0\0\0\0")
        assert client.request().status == 200
    assert b"\r\nX-Forwarded-For: 2001:db8::7\r\n" in server.requests[-1]


# --- what closes the connection ---

BAD = {
    "no header": (GET, "proxy_header_missing"),
    "preface of HTTP/2": (PREFACE, "proxy_header_missing"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01", "proxy_header_missing"),
    "garbage": (b"\x00" * 40, "proxy_header_missing"),
    "v1 in lower case": (b"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "proxy_header_missing"),
    "v1 of another family": (b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", "proxy_header_malformed"),
    "v1, IPv6 as TCP4": (b"PROXY TCP4 ::1 ::2 1 2\r\n", "proxy_header_malformed"),
    "v1, IPv4 as TCP6": (b"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", "proxy_header_malformed"),
    "v1, leading zeros": (b"PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n", "proxy_header_malformed"),
    "v1, a port with zeros": (b"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", "proxy_header_malformed"),
    "v1, a port too high": (b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n", "proxy_header_malformed"),
    "v1, too few": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "proxy_header_malformed"),
    "v1, too many": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", "proxy_header_malformed"),
    "v1, two spaces": (b"PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "proxy_header_malformed"),
    "v1, a name": (b"PROXY TCP4 localhost 5.6.7.8 1 2\r\n", "proxy_header_malformed"),
    "v1, bare LF": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n" + GET, "proxy_header_malformed"),
    "v1, CR without LF": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rGET", "proxy_header_malformed"),
    "v1 without end": (b"PROXY UNKNOWN " + b"x" * 200, "proxy_header_too_long"),
    "v2, version 3": (SIGNATURE + b"\x31\x11\0\x0c" + bytes(12), "proxy_header_version"),
    "v2, a command": (block(addresses(CLIENT, US), command=0x22), "proxy_header_malformed"),
    "v2, a family": (block(addresses(CLIENT, US), family=0x41), "proxy_header_malformed"),
    "v2, a transport": (block(addresses(CLIENT, US), family=0x13), "proxy_header_malformed"),
    "v2, too short": (block(addresses(CLIENT, US)[:-1]), "proxy_header_malformed"),
    "v2, IPv4 as IPv6": (block(addresses(CLIENT, US), family=TCP6), "proxy_header_malformed"),
    "v2, half a vector": (v2(CLIENT, US, [b"\x04\0"]), "proxy_header_malformed"),
    "v2, a vector too long": (v2(CLIENT, US, [b"\x04\0\x05abc"]), "proxy_header_malformed"),
    "v2, too long": (v2(CLIENT, US, [tlv(NOOP, bytes(4_100))]), "proxy_header_too_long"),
    "v2, the longest": (SIGNATURE + bytes([PROXY, TCP4]) + b"\xff\xff", "proxy_header_too_long"),
    "v2, a wrong checksum": (v2(CLIENT, US, [tlv(CRC32C, b"\1\2\3\4")]), "proxy_header_checksum"),
    "v2, zeros as a checksum": (v2(CLIENT, US, [tlv(CRC32C, bytes(4))]), "proxy_header_checksum"),
    "v2, half a checksum": (v2(CLIENT, US, [tlv(CRC32C, bytes(2))]), "proxy_header_malformed"),
}


def spoiled() -> bytes:
    """A checksum that was right before a bit of the address was turned."""
    header = bytearray(summed(v2(CLIENT, US, TLVS)))
    header[16] ^= 1
    return bytes(header)


BAD["v2, a spoiled address"] = (spoiled(), "proxy_header_checksum")


@pytest.mark.parametrize(("said", "reason"), BAD.values(), ids=BAD)
def test_bad_headers(
    program: Program, site: Site, server: Upstream, said: bytes, reason: str
) -> None:
    """Closed without a word: nobody knows what the peer speaks."""
    before, seen = program.failures(site, reason=reason), server.connection_count
    assert closed(site, said) == b""
    wait_until(
        lambda: program.failures(site, reason=reason) > before, timeout_s=5, what="the reason"
    )
    assert program.failures(site, reason=reason) == before + 1
    assert server.connection_count == seen
    assert told_after(site, v1(CLIENT, US)) == "203.0.113.7"


@pytest.mark.parametrize(
    "said", [b"PROXY TCP4 203.0", SIGNATURE[:5], v2(CLIENT, US)[:-1], v2(CLIENT, US, TLVS)[:40]]
)
def test_cut_off(program: Program, site: Site, said: bytes) -> None:
    before = program.failures(site, reason="proxy_truncated")
    with site.client() as client:
        client.send(said)
        client.half_close()
        assert client.read_until_close() == b""
    wait_until(
        lambda: program.failures(site, reason="proxy_truncated") > before,
        timeout_s=5,
        what="the reason",
    )


@pytest.mark.parametrize("said", [b"", b"P", SIGNATURE, v2(CLIENT, US)[:20]])
def test_too_slow(program: Program, site: Site, said: bytes) -> None:
    """`timeout` is for the whole header."""
    before = program.failures(site, reason="proxy_timeout")
    assert closed(site, said) == b""
    wait_until(
        lambda: program.failures(site, reason="proxy_timeout") > before,
        timeout_s=5,
        what="the reason",
    )


def test_nothing_is_left_of_them(program: Program, site: Site) -> None:
    pid = program.trunkline.pid
    assert told_after(site, v1(CLIENT, US)) == "203.0.113.7"
    before = fd_count(pid)
    for _ in range(5):
        for said, _ in BAD.values():
            with site.client() as client:
                client.send(said)
    wait_until(lambda: fd_count(pid) <= before, timeout_s=5, what="the descriptors")


def test_a_second_header_is_none(site: Site) -> None:
    """Relays that are chained tell of one client each; ours is the last that was trusted."""
    with site.client() as client:
        client.send(v1(CLIENT, US))
        assert client.request(v1(("1.2.3.4", 1), US) + GET).status == 400


# --- whose headers are expected ---


def test_networks(serve: Serve, upstream: Upstream) -> None:
    """Only from these; others are taken as they come, and their header is a bad request."""
    site = serve('proxy_protocol = { trusted = ["10.0.0.0/8", "2001:db8::/32"] }')
    with site.client() as client:
        assert told(client) == "127.0.0.1"
    assert closed(site, v1(CLIENT, US) + GET).startswith(b"HTTP/1.1 400 ")
    assert closed(site, v2(CLIENT, US) + GET).startswith(b"HTTP/1.1 400 ")
    assert b"203.0.113.7" not in b"".join(upstream.requests)


def test_a_network_that_we_are_in(program: Program, serve: Serve) -> None:
    site = serve('proxy_protocol = { trusted = ["127.0.0.1"] }')
    assert told_after(site, v2(CLIENT, US)) == "203.0.113.7"
    assert closed(site, GET) == b""
    program.wait_for_failures(site, "proxy_header_missing")


def test_no_listener_expects_one_by_default(serve: Serve, upstream: Upstream) -> None:
    site = serve("")
    for header in (v1(CLIENT, US), v2(CLIENT, US)):
        assert closed(site, header + GET).startswith(b"HTTP/1.1 400 ")
    assert upstream.connection_count == 0


def test_true_is_enough(serve: Serve) -> None:
    assert told_after(serve("proxy_protocol = true"), v1(CLIENT, US)) == "203.0.113.7"


def test_forwarding_headers_of_a_trusted_relay(serve: Serve) -> None:
    """Trust is asked of the address in the header, not of the relay's."""
    site = serve('proxy_protocol = true\nforwarding.trusted = ["203.0.113.0/24"]')
    claim = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n"
    for source, expected in (
        (CLIENT, b"X-Forwarded-For: 192.0.2.9, 203.0.113.7\r\n"),
        (("127.0.0.1", 1), b"X-Forwarded-For: 127.0.0.1\r\n"),
    ):
        with site.client() as client:
            client.send(v1(source, US))
            assert expected in client.request(claim).body


# --- before TLS ---


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(serve: Serve, authority: Authority) -> Site:
    issued = authority.issue("site", ["site.example"])
    return serve(listener_tls(issued) + "proxy_protocol = true\n")


@pytest.mark.parametrize("header", [v1(CLIENT, US), summed(v2(CLIENT, US, TLVS))], ids=["v1", "v2"])
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_before_tls(
    secure: Site, authority: Authority, upstream: Upstream, header: bytes, protocol: str
) -> None:
    context = trusting(authority.ca, alpn=[protocol])
    with secure.client() as client:
        client.send(header)
        wrapped = context.wrap_socket(client.socket, server_hostname="site.example")
        with wrapped:
            assert wrapped.selected_alpn_protocol() == protocol
            wrapped.sendall(GET if protocol == "http/1.1" else _http2_get())
            upstream.wait_for_requests(1)
    request = upstream.requests[0]
    assert b"\r\nX-Forwarded-For: 203.0.113.7\r\n" in request
    assert b"\r\nX-Forwarded-Proto: https\r\n" in request


def _http2_get() -> bytes:
    """Preface, SETTINGS, and a request without a dynamic table."""
    block_of = b"\x82\x87\x84\x01\x09a.example"
    head_of = len(block_of).to_bytes(3, "big") + b"\x01\x05\0\0\0\x01"
    return PREFACE + b"\0\0\0\4\0\0\0\0\0" + head_of + block_of


def test_tls_without_a_header(program: Program, secure: Site, authority: Authority) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        secure.secure(trusting(authority.ca), "site.example")
    program.wait_for_failures(secure, "proxy_header_missing")


# --- a real relay ---


V2 = "send-proxy-v2 proxy-v2-options crc32c,unique-id"


@pytest.mark.parametrize("option", ["send-proxy", V2])
def test_haproxy(site: Site, tmp_path: Path, option: str) -> None:
    """Which adds a checksum, if it is asked to."""
    port = free_port()
    rest = f"""
frontend front
    mode tcp
    bind 127.0.0.1:{port}
    unique-id-format %pid
    default_backend ours
backend ours
    mode tcp
    server ours 127.0.0.1:{site.port} {option}
"""
    command = write_haproxy_config(tmp_path, "haproxy", rest)
    with Process(command, directory=tmp_path, name="haproxy") as haproxy:
        haproxy.wait_ready(lambda: is_listening(port))
        with Client(port) as client:
            assert told(client) == "127.0.0.1"
