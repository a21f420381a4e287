"""Sessions that are resumed, by any worker and after a reload, and those that are not."""

import base64
import os
import ssl
from pathlib import Path

import pytest

from testkit.certificates import Authority, Issued
from testkit.site import Program, Site
from testkit.tls import Version, listener_tls, trusting
from testkit.upstream import Upstream
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n"


class Returning:
    """A client that comes again and again with the session it has.

    Args:
        context: The same each time.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._session: ssl.SSLSession | None = None

    def come(self, site: Site) -> bool:
        """One request on a new connection; whether the session was resumed."""
        with site.secure(self._context, session=self._session) as client:
            assert client.request(GET).status == 200
            assert isinstance(client.socket, ssl.SSLSocket)
            # TLS 1.3 sends tickets behind the handshake, so after a response they are here.
            self._session = client.socket.session
            return bool(client.socket.session_reused)

    def come_often(self, site: Site) -> list[bool]:
        """Often enough to meet both workers: by chance once in two thousand runs not."""
        return [self.come(site) for _ in range(12)]


@pytest.fixture(params=[Version.TLSv1_2, Version.TLSv1_3], ids=["1.2", "1.3"])
def client(request: pytest.FixtureRequest, authority: Authority) -> Returning:
    return Returning(trusting(authority.ca, only=request.param))


def site_with(upstream: Upstream, certificate: Issued, **keys: object) -> Site:
    return Site([upstream.port], listener=listener_tls(certificate, **keys))


@pytest.fixture
def site(program: Program, upstream: Upstream, certificate: Issued) -> Site:
    site = site_with(upstream, certificate)
    program.serve(site)
    return site


def test_all_workers_resume(site: Site, client: Returning) -> None:
    assert client.come_often(site) == [False] + 11 * [True]


def test_a_reload_forgets_nothing(
    program: Program, upstream: Upstream, certificate: Issued, site: Site, client: Returning
) -> None:
    client.come(site)
    site.change([upstream.port], listener=listener_tls(certificate, alpn=["http/1.1"]))
    program.serve(site)
    assert all(client.come_often(site))


def test_a_new_certificate_does_not_end_sessions(
    program: Program, upstream: Upstream, authority: Authority, site: Site, client: Returning
) -> None:
    client.come(site)
    other = authority.issue("site-renewed", ["site.example"])
    site.change([upstream.port], listener=listener_tls(other))
    program.serve(site)
    assert all(client.come_often(site))


def test_no_tickets(
    program: Program, upstream: Upstream, certificate: Issued, client: Returning
) -> None:
    site = site_with(upstream, certificate, tickets__lifetime="0s")
    program.serve(site)
    assert not any(client.come_often(site))


def test_tickets_end(
    program: Program, upstream: Upstream, certificate: Issued, authority: Authority
) -> None:
    """The server says so, whatever the client keeps."""
    site = site_with(upstream, certificate, tickets__lifetime="1s")
    program.serve(site)
    context = trusting(authority.ca)
    with site.secure(context) as client:
        client.request(GET)
        assert isinstance(client.socket, ssl.SSLSocket)
        session = client.socket.session

    def is_forgotten() -> bool:
        with site.secure(context, session=session) as again:
            assert isinstance(again.socket, ssl.SSLSocket)
            return not again.socket.session_reused

    assert not is_forgotten()
    wait_until(is_forgotten, timeout_s=5, what="the end of the ticket")


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "tickets.keys"
    path.write_text(base64.b64encode(os.urandom(48)).decode() + "\n")
    return path


def test_machines_share_keys(
    program: Program, upstream: Upstream, certificate: Issued, client: Returning, keys_file: Path
) -> None:
    """Two listeners that know nothing of each other but the file."""
    one, two = (site_with(upstream, certificate, tickets__keys_file=keys_file) for _ in range(2))
    stranger = site_with(upstream, certificate)
    program.serve(one, two, stranger)
    assert not client.come(one)
    assert all(client.come_often(two))
    assert not client.come(stranger)


def test_shared_keys_are_exchanged_by_a_reload(
    program: Program, upstream: Upstream, certificate: Issued, client: Returning, keys_file: Path
) -> None:
    """The first line issues, the others are accepted; a key that is gone opens nothing."""
    site = site_with(upstream, certificate, tickets__keys_file=keys_file)
    program.serve(site)
    client.come(site)
    old, new = keys_file.read_text(), os.urandom(32).hex() + "\n"
    keys_file.write_text(new + old)
    program.serve(site)
    assert all(client.come_often(site)), "the old key is accepted"
    keys_file.write_text(new)
    program.serve(site)
    assert all(client.come_often(site)), "the new key had issued the last ticket"
    keys_file.write_text(os.urandom(80).hex() + "\n")
    program.serve(site)
    assert client.come_often(site) == [False] + 11 * [True]


def test_a_ticket_is_no_certificate(
    *,
    program: Program,
    upstream: Upstream,
    certificate: Issued,
    authority: Authority,
    client: Returning,
    keys_file: Path,
) -> None:
    """What was issued where nobody is asked opens no listener that asks."""
    shared = {"tickets__keys_file": keys_file}
    open_site = site_with(upstream, certificate, **shared)
    asking = site_with(upstream, certificate, client_auth__ca=authority.ca, **shared)
    program.serve(open_site, asking)
    client.come(open_site)
    assert client.come(open_site)
    with pytest.raises(
        (ssl.SSLError, ConnectionError), match=r"(?i)certificate.required|reset|handshake"
    ):
        client.come(asking)
    program.wait_for_failures(asking, "tls_client_certificate_required")


def test_a_client_stays_who_it_was(
    program: Program, upstream: Upstream, certificate: Issued, authority: Authority
) -> None:
    """The certificate of the first handshake counts for the sessions that resume it."""
    issued = authority.issue("client-returning", uris=["spiffe://acme/returning"])
    keys = listener_tls(certificate, client_auth__ca=authority.ca, client_auth__forward=["uri"])
    site = Site([upstream.port], listener=keys)
    program.serve(site)
    context = trusting(authority.ca, shows=issued)
    session = None
    for number in range(6):
        with site.secure(context, session=session) as client:
            body = client.request(GET).body
            assert b"\r\nX-Forwarded-Client-Cert: URI=spiffe://acme/returning\r\n" in body
            assert isinstance(client.socket, ssl.SSLSocket)
            assert client.socket.session_reused == (number > 0)
            session = client.socket.session


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "holds no key"),
        ("c2hvcnQ=\n", "line 1 has 5 bytes; a key has 32, 48 or 80"),
        ("{0}\n?\n", "line 2 is neither hex nor base64"),
        (None, "no such file"),
    ],
)
def test_bad_key_files(
    *,
    program: Program,
    upstream: Upstream,
    certificate: Issued,
    keys_file: Path,
    text: str | None,
    complaint: str,
) -> None:
    site = site_with(upstream, certificate, tickets__keys_file=keys_file)
    if text is None:
        keys_file.unlink()
    else:
        keys_file.write_text(text.replace("{0}", "00" * 32))
    (error,) = program.refused(site)
    assert error["key"] == f"lb.http.{site.name}.tls.tickets.keys_file"
    assert error["message"] == f"{keys_file}: {complaint}"
