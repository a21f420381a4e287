"""Which certificate a client gets: by the name it asks for, and by what it can verify."""

import ssl
from collections.abc import Callable

import pytest

from testkit.certificates import Authority, Issued
from testkit.client import Client
from testkit.site import Program, Site
from testkit.tls import Version, der, listener_tls, s_client, trusting
from testkit.upstream import Upstream

ANY = trusting()


@pytest.fixture(scope="module")
def shop(authority: Authority) -> Issued:
    return authority.issue("shop", ["shop.example", "www.shop.example"])


@pytest.fixture(scope="module")
def wild(authority: Authority) -> Issued:
    return authority.issue("wild", ["*.wild.example", "*.shop.example"])


Serve = Callable[..., Site]


@pytest.fixture
def serve(
    program: Program, upstream: Upstream, certificate: Issued, shop: Issued, wild: Issued
) -> Serve:
    """A site with the three certificates."""

    def served(**keys: object) -> Site:
        site = Site([upstream.port], listener=listener_tls(certificate, shop, wild, **keys))
        program.serve(site)
        return site

    return served


def shown(client: Client) -> bytes:
    """The certificate that the server showed."""
    assert isinstance(client.socket, ssl.SSLSocket)
    certificate = client.socket.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("site.example", "site"),
        ("shop.example", "shop"),
        ("Shop.EXAMPLE", "shop"),
        ("www.shop.example", "shop"),
        ("blog.shop.example", "wild"),
        ("a.wild.example", "wild"),
        # A wildcard stands for one label (RFC 6125 §6.4.3).
        ("a.b.wild.example", "site"),
        ("wild.example", "site"),
        ("other.example", "site"),
        (None, "site"),
    ],
)
def test_names(
    *,
    serve: Serve,
    name: str | None,
    expected: str,
    certificate: Issued,
    shop: Issued,
    wild: Issued,
) -> None:
    by_name = {"site": certificate, "shop": shop, "wild": wild}
    with serve().secure(ANY, name) as client:
        assert shown(client) == der(by_name[expected])


@pytest.mark.parametrize("name", ["www.shop.example", "a.wild.example"])
def test_strict_listeners_know_their_names(serve: Serve, authority: Authority, name: str) -> None:
    with serve(strict_sni=True).secure(authority.client_context(), name) as client:
        assert client.request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200


@pytest.mark.parametrize("name", ["other.example", "a.b.wild.example", None])
def test_strict_listeners_refuse_others(program: Program, serve: Serve, name: str | None) -> None:
    site = serve(strict_sni=True)
    with pytest.raises(ssl.SSLError, match="unrecognized name"):
        site.secure(ANY, name)
    program.wait_for_failures(site, "tls_no_certificate_for_name")


@pytest.fixture(scope="module")
def twins(authority: Authority) -> tuple[Issued, Issued]:
    """Of one name, with keys of different kinds."""
    elliptic = authority.issue("elliptic", ["twin.example"])
    return elliptic, authority.issue("rsa", ["twin.example"], key_type="rsa")


@pytest.fixture
def twin_site(program: Program, upstream: Upstream, twins: tuple[Issued, Issued]) -> Site:
    site = Site([upstream.port], listener=listener_tls(*twins))
    program.serve(site)
    return site


@pytest.mark.parametrize("name", ["twin.example", None])
@pytest.mark.parametrize(("cipher", "number"), [("ECDSA", 0), ("RSA", 1), ("ECDSA:RSA", 0)])
def test_the_key_that_a_client_can_verify(
    twin_site: Site, twins: tuple[Issued, Issued], name: str | None, cipher: str, number: int
) -> None:
    """In TLS 1.2 the cipher suites say so, too."""
    context = trusting(only=Version.TLSv1_2)
    context.set_ciphers(":".join(f"ECDHE-{kind}-AES128-GCM-SHA256" for kind in cipher.split(":")))
    with twin_site.secure(context, name) as client:
        assert shown(client) == der(twins[number])


@pytest.mark.parametrize(
    ("algorithms", "kind"),
    [
        ("RSA-PSS+SHA256", "RSA-PSS"),
        ("ECDSA+SHA256", "ECDSA"),
        ("RSA-PSS+SHA256:ECDSA+SHA256", "ECDSA"),
    ],
)
def test_signature_algorithms(twin_site: Site, algorithms: str, kind: str) -> None:
    printed = s_client(twin_site.port, "-servername", "twin.example", "-sigalgs", algorithms)
    assert f"Peer signature type: {kind}\n" in printed
