"""What the authority makes is believed, refused and read by OpenSSL."""

import ssl
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509 import ocsp

from testkit.certificates import DAY, Authority, Issued


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """Both sides in memory; the client's is returned."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(sides)
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                pass
    return sides[0]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize("key_type", ["p256", "rsa"])
@pytest.mark.parametrize("name", ["site.example", "a.wild.example", "127.0.0.1"])
def test_names_and_keys(authority: Authority, key_type: str, name: str) -> None:
    names = ["site.example", "*.wild.example", "127.0.0.1"]
    issued = authority.issue("site", names, key_type="rsa" if key_type == "rsa" else "p256")
    server = authority.server_context(issued, alpn=["h2"])
    side = handshake(authority.client_context(alpn=["h2", "http/1.1"]), server, name)
    assert side.selected_alpn_protocol() == "h2"


@pytest.mark.parametrize(
    ("starts", "ends", "why"),
    [(-2 * DAY, -DAY, "has expired"), (DAY, 2 * DAY, "not yet valid")],
)
def test_validity(authority: Authority, starts: timedelta, ends: timedelta, why: str) -> None:
    issued = authority.issue("site", ["site.example"], starts=starts, ends=ends)
    with pytest.raises(ssl.SSLCertVerificationError, match=why):
        handshake(authority.client_context(), authority.server_context(issued), "site.example")


def test_another_authority_is_not_believed(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    issued = authority.issue("site", ["site.example"])
    with pytest.raises(ssl.SSLCertVerificationError, match="self-signed certificate"):
        handshake(other.client_context(), authority.server_context(issued), "site.example")


def test_a_client_shows_its_certificate(authority: Authority) -> None:
    site = authority.issue("site", ["site.example"])
    alice = authority.issue("alice", uris=["spiffe://test/alice"])
    server = authority.server_context(site, asks=True)
    handshake(authority.client_context(alice), server, "site.example")
    with pytest.raises(ssl.SSLError, match="did not return a certificate"):
        handshake(authority.client_context(), server, "site.example")


def openssl(*arguments: object) -> str:
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return done.stdout + done.stderr


def verified(authority: Authority, issued: Issued, revoked: Path) -> str:
    return openssl(
        "verify", "-crl_check", "-CAfile", authority.ca, "-CRLfile", revoked, issued.certificate
    )


def test_a_revocation_list_names_what_was_called_back(authority: Authority) -> None:
    good, bad = authority.issue("good"), authority.issue("bad")
    revoked = authority.revoke(bad)
    assert verified(authority, good, revoked).endswith("good.pem: OK\n")
    assert "certificate revoked" in verified(authority, bad, revoked)


@pytest.mark.parametrize("status", [ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED])
def test_an_ocsp_response_is_about_its_certificate(
    authority: Authority, status: ocsp.OCSPCertStatus
) -> None:
    issued = authority.issue("site", ["site.example"])
    response = authority.vouch(issued, status)
    said = openssl(
        *("ocsp", "-respin", response, "-issuer", authority.ca),
        *("-cert", issued.certificate, "-CAfile", authority.ca),
    )
    assert "Response verify OK" in said
    assert f"site.pem: {status.name.lower()}" in said
