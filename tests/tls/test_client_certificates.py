"""Certificates of clients: who comes in, who does not and why, and what servers are told."""

import ssl
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from testkit.certificates import DAY, Authority, Issued
from testkit.http2_client import Http2Client, head
from testkit.site import Program, Site
from testkit.tls import Version, der, listener_tls, trusting
from testkit.upstream import Upstream

GET = b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n"
CLAIM = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Client-Cert: Hash=00;URI=spiffe://root\r\n\r\n"
Serve = Callable[..., Site]
VERSIONS = pytest.mark.parametrize(
    "version", [Version.TLSv1_2, Version.TLSv1_3], ids=["1.2", "1.3"]
)


@pytest.fixture
def serve(program: Program, upstream: Upstream, authority: Authority, certificate: Issued) -> Serve:
    """A site that asks clients for certificates of the authority."""

    def served(**keys: object) -> Site:
        asks = {"client_auth__ca": authority.ca, **keys}
        site = Site([upstream.port], listener=listener_tls(certificate, **asks))
        program.serve(site)
        return site

    return served


@pytest.fixture(scope="module")
def known(authority: Authority) -> Issued:
    return authority.issue("client", ["client.example"], uris=["spiffe://acme/shop"])


def told(site: Site, context: ssl.SSLContext, request: bytes = GET) -> list[str]:
    """Values of X-Forwarded-Client-Cert that the server gets."""
    with site.secure(context) as client:
        answer = client.request(request)
    assert answer.status == 200
    lines = answer.body.decode().split("\r\n")
    pairs = [line.split(": ", 1) for line in lines[1:] if line]
    return [value for name, value in pairs if name.lower() == "x-forwarded-client-cert"]


def is_refused(site: Site, context: ssl.SSLContext) -> str:
    """Why the connection fails, in the client's words."""
    with (
        pytest.raises((ssl.SSLError, ConnectionError)) as caught,
        site.secure(context) as client,
    ):
        # In TLS 1.3 the client has finished before its certificate is looked at.
        client.request(GET)
    return str(caught.value).lower()


@VERSIONS
def test_a_known_client(
    serve: Serve, authority: Authority, known: Issued, version: Version
) -> None:
    context = trusting(authority.ca, shows=known, only=version)
    digest = sha256(der(known)).hexdigest()
    expected = f'Hash={digest};Subject="CN=client";URI=spiffe://acme/shop;DNS=client.example'
    assert told(serve(), context) == [expected]


@VERSIONS
def test_none_where_one_is_required(
    program: Program, serve: Serve, authority: Authority, version: Version
) -> None:
    site = serve()
    why = is_refused(site, trusting(authority.ca, only=version))
    # RFC 8446 §6.2: certificate_required; TLS 1.2 has no alert of its own for it.
    assert "certificate required" in why or "certificate" in why or "handshake failure" in why
    program.wait_for_failures(site, "tls_client_certificate_required")


@VERSIONS
@pytest.mark.parametrize("mode", ["required", "optional"])
def test_a_stranger(
    *,
    program: Program,
    serve: Serve,
    authority: Authority,
    stranger: Authority,
    version: Version,
    mode: str,
) -> None:
    """Is refused even where nobody has to show anything."""
    site = serve(client_auth__mode=mode)
    issued = stranger.issue("strange-client")
    assert "unknown ca" in is_refused(site, trusting(authority.ca, shows=issued, only=version))
    program.wait_for_failures(site, "tls_bad_client_certificate")


@pytest.mark.parametrize(
    ("starts", "ends", "alert"),
    [(-2 * DAY, -DAY, "certificate expired"), (DAY, 2 * DAY, "certificate")],
    ids=["over", "to come"],
)
def test_out_of_date(
    *,
    program: Program,
    serve: Serve,
    authority: Authority,
    starts: timedelta,
    ends: timedelta,
    alert: str,
) -> None:
    site = serve()
    issued = authority.issue("old-client", starts=starts, ends=ends)
    assert alert in is_refused(site, trusting(authority.ca, shows=issued))
    program.wait_for_failures(site, "tls_bad_client_certificate")


def test_a_broken_signature(
    program: Program, serve: Serve, authority: Authority, folder: Path
) -> None:
    issued = authority.issue("broken-client")
    broken = bytearray(der(issued))
    broken[-1] ^= 1
    issued.certificate.write_text(ssl.DER_cert_to_PEM_cert(bytes(broken)))
    site = serve()
    assert "alert" in is_refused(site, trusting(authority.ca, shows=issued))
    program.wait_for_failures(site, "tls_bad_client_certificate")


def test_optional(serve: Serve, authority: Authority, known: Issued) -> None:
    site = serve(client_auth__mode="optional", client_auth__forward=["uri"])
    assert told(site, trusting(authority.ca)) == []
    assert told(site, trusting(authority.ca, shows=known)) == ["URI=spiffe://acme/shop"]


def test_what_is_told(serve: Serve, authority: Authority, known: Issued) -> None:
    context = trusting(authority.ca, shows=known)
    (value,) = told(serve(client_auth__forward=["dns", "hash"]), context)
    assert value == f"DNS=client.example;Hash={sha256(der(known)).hexdigest()}"
    (value,) = told(serve(client_auth__forward=["cert"]), context)
    assert value.startswith('Cert="-----BEGIN%20CERTIFICATE-----%0A')


def test_names_cannot_break_out(serve: Serve, authority: Authority) -> None:
    """What separates elements stands in quotes."""
    issued = authority.issue("odd", uris=["https://a.example/?x=1;URI=spiffe://root"])
    (value,) = told(serve(client_auth__forward=["uri"]), trusting(authority.ca, shows=issued))
    assert value == 'URI="https://a.example/?x=1;URI=spiffe://root"'


def test_what_clients_claim_is_dropped(serve: Serve, authority: Authority, known: Issued) -> None:
    site = serve(client_auth__mode="optional", client_auth__forward=["uri"])
    assert told(site, trusting(authority.ca), CLAIM) == []
    shows = trusting(authority.ca, shows=known)
    assert told(site, shows, CLAIM) == ["URI=spiffe://acme/shop"]


def test_what_clients_of_http2_claim_is_dropped(
    serve: Serve, authority: Authority, known: Issued, upstream: Upstream
) -> None:
    site = serve(client_auth__mode="optional", client_auth__forward=["uri"])
    claim = head("GET", "/", ("x-forwarded-client-cert", "URI=spiffe://root"), scheme="https")
    for shows, expected in ((None, []), (known, [b"URI=spiffe://acme/shop"])):
        context = trusting(authority.ca, shows=shows, alpn=["h2"])
        with Http2Client(site.port, tls=context, server_name="site.example") as client:
            assert client.request(claim).status == 200
        lines = upstream.requests[-1].split(b"\r\n")
        name = b"x-forwarded-client-cert: "
        found = [line[len(name) :] for line in lines if line.lower().startswith(name)]
        assert found == expected


def test_a_listener_that_does_not_ask(
    program: Program, upstream: Upstream, authority: Authority, certificate: Issued, known: Issued
) -> None:
    """It knows nothing of certificates, so a client's claim is nobody's word."""
    site = Site([upstream.port], listener=listener_tls(certificate))
    program.serve(site)
    assert told(site, trusting(authority.ca, shows=known)) == []
    assert told(site, trusting(authority.ca), CLAIM) == []


class TestCalledBack:
    """With a revocation list."""

    def test_a_client_on_the_list(
        self, program: Program, serve: Serve, authority: Authority, known: Issued
    ) -> None:
        revoked = authority.issue("revoked-client")
        site = serve(client_auth__crl=[authority.revoke(revoked)])
        context = trusting(authority.ca, shows=revoked)
        assert "certificate revoked" in is_refused(site, context)
        program.wait_for_failures(site, "tls_bad_client_certificate")
        assert told(site, trusting(authority.ca, shows=known)) != []

    def test_an_authority_without_a_list(
        self,
        program: Program,
        serve: Serve,
        stranger: Authority,
        authority: Authority,
        folder: Path,
    ) -> None:
        """Nobody knows whether its certificates are good."""
        both = folder / "both.pem"
        both.write_text(authority.ca.read_text() + stranger.ca.read_text())
        lists = [authority.revoke(file_name="empty.crl")]
        site = serve(client_auth__ca=both, client_auth__crl=lists)
        issued = stranger.issue("unlisted-client")
        assert "alert" in is_refused(site, trusting(authority.ca, shows=issued))
        program.wait_for_failures(site, "tls_bad_client_certificate")

    def test_a_reload_reads_the_list_again(
        self, program: Program, serve: Serve, authority: Authority
    ) -> None:
        """Open connections go on; the ticket of one who was called back opens nothing."""
        issued = authority.issue("later-client")
        path = authority.revoke(file_name="growing.crl")
        site = serve(client_auth__crl=[path])
        context = trusting(authority.ca, shows=issued)
        with site.secure(context) as client:
            assert client.request(GET).status == 200
            assert isinstance(client.socket, ssl.SSLSocket)
            authority.revoke(issued, file_name=path.name)
            program.serve(site)
            assert client.request(GET).status == 200
            session = client.socket.session
        with (
            pytest.raises(ssl.SSLError, match="certificate revoked"),
            site.secure(context, session=session) as again,
        ):
            again.request(GET)
