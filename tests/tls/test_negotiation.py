"""What both sides agree on: protocol, version, cipher suite; and who cannot agree."""

import ssl
from collections.abc import Callable

import pytest

from testkit.certificates import Authority, Issued
from testkit.http2_client import Http2Client
from testkit.site import Program, Site
from testkit.tls import Version, listener_tls, s_client, trusting
from testkit.upstream import Upstream

GET = b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n"
Serve = Callable[..., Site]


@pytest.fixture
def serve(program: Program, upstream: Upstream, certificate: Issued) -> Serve:
    def served(**keys: object) -> Site:
        site = Site([upstream.port], listener=listener_tls(certificate, **keys))
        program.serve(site)
        return site

    return served


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        (["h2", "http/1.1"], "h2"),
        (["http/1.1", "h2"], "h2"),
        (["http/1.1"], "http/1.1"),
        (["spdy/3", "http/1.1"], "http/1.1"),
        ([], None),
    ],
)
def test_protocols(
    serve: Serve, authority: Authority, offered: list[str], agreed: str | None
) -> None:
    site, context = serve(), authority.client_context(alpn=offered)
    with site.secure(context) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.selected_alpn_protocol() == agreed
        if agreed != "h2":
            assert client.request(GET).status == 200
    if agreed == "h2":
        with Http2Client(site.port, tls=context, server_name="site.example") as client2:
            assert client2.request().status == 200


@pytest.mark.parametrize("offered", [["spdy/3"], ["h2c"], ["http/1.0"], ["h2-14", "x"]])
def test_unknown_protocols_are_refused(
    program: Program, serve: Serve, authority: Authority, offered: list[str]
) -> None:
    site = serve()
    # TLS alert no_application_protocol(120), RFC 7301 §3.2.
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        site.secure(authority.client_context(alpn=offered))
    program.wait_for_failures(site, "tls_unknown_alpn")


def test_a_listener_without_http2(program: Program, serve: Serve, authority: Authority) -> None:
    site = serve(alpn="http/1.1")
    with site.secure(authority.client_context(alpn=["h2", "http/1.1"])) as client:
        assert client.request(GET).status == 200
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        site.secure(authority.client_context(alpn=["h2"]))
    program.wait_for_failures(site, "tls_unknown_alpn")


def test_a_listener_prefers_as_it_is_told(serve: Serve, authority: Authority) -> None:
    site = serve(alpn=["http/1.1", "h2"])
    with site.secure(authority.client_context(alpn=["h2", "http/1.1"])) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.selected_alpn_protocol() == "http/1.1"


def test_http2_needs_to_be_agreed_on(program: Program, serve: Serve, trust: ssl.SSLContext) -> None:
    """Without ALPN a connection speaks HTTP/1.1, whatever it begins with."""
    site = serve()
    with site.secure(trust) as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert client.read_response().status in (400, 505)


@pytest.mark.parametrize("version", [Version.TLSv1_2, Version.TLSv1_3])
def test_versions(serve: Serve, authority: Authority, version: Version) -> None:
    with serve().secure(trusting(authority.ca, only=version)) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        assert client.socket.version() == version.name.replace("_", ".")
        assert client.request(GET).status == 200


def test_the_lowest_version(program: Program, serve: Serve, authority: Authority) -> None:
    site = serve(min_version="1.3")
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        site.secure(trusting(authority.ca, only=Version.TLSv1_2))
    with site.secure(trusting(authority.ca, only=Version.TLSv1_3)) as client:
        assert client.request(GET).status == 200
    program.wait_for_failures(site, "tls_version")


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_older_versions_do_not_exist(program: Program, serve: Serve, version: str) -> None:
    site = serve()
    printed = s_client(site.port, version, "-cipher", "DEFAULT@SECLEVEL=0")
    # rustls looks for the signature algorithms first, which such clients do not have: its alert is
    # handshake_failure(40), where RFC 8446 §D.2 has protocol_version(70).
    assert "SSL alert number" in printed
    program.wait_for_failures(site, "tls_version")


@pytest.mark.parametrize(
    ("suite", "version", "name"),
    [
        ("TLS_AES_128_GCM_SHA256", Version.TLSv1_3, "TLS_AES_128_GCM_SHA256"),
        ("TLS_CHACHA20_POLY1305_SHA256", Version.TLSv1_3, "TLS_CHACHA20_POLY1305_SHA256"),
        (
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            Version.TLSv1_2,
            "ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
    ],
)
def test_cipher_suites(
    serve: Serve, authority: Authority, suite: str, version: Version, name: str
) -> None:
    with serve(ciphers=[suite]).secure(trusting(authority.ca, only=version)) as client:
        assert isinstance(client.socket, ssl.SSLSocket)
        cipher = client.socket.cipher()
        assert cipher is not None
        assert cipher[0] == name


def test_the_order_of_cipher_suites(serve: Serve, authority: Authority) -> None:
    """Those that are listed are preferred in their order, else the client's order counts."""
    listed = ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"]
    context = trusting(authority.ca, only=Version.TLSv1_3)
    for keys, first in (({"ciphers": listed}, listed[0]), ({}, "TLS_AES_256_GCM_SHA384")):
        with serve(**keys).secure(context) as client:
            assert isinstance(client.socket, ssl.SSLSocket)
            assert (client.socket.cipher() or ("",))[0] == first


def test_nothing_in_common(program: Program, serve: Serve, authority: Authority) -> None:
    site = serve(ciphers=["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"])
    context = trusting(authority.ca, only=Version.TLSv1_2)
    context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    with pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
        site.secure(context)
    program.wait_for_failures(site, "tls_nothing_in_common")


def test_suites_that_are_not_safe_do_not_exist(program: Program, serve: Serve) -> None:
    """CBC, and key exchange without forward secrecy."""
    site = serve()
    for cipher in ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256"):
        printed = s_client(site.port, "-tls1_2", "-cipher", cipher)
        assert "alert handshake failure" in printed
    program.wait_for_failures(site, "tls_nothing_in_common", 3)


def test_what_servers_are_told(serve: Serve, trust: ssl.SSLContext) -> None:
    with serve().secure(trust) as client:
        assert b"\r\nX-Forwarded-Proto: https\r\n" in client.request(GET).body
