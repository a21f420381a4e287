"""Plain HTTP leads to HTTPS: the same URL on another port."""

import subprocess

import pytest

from testkit.certificates import Authority, Issued
from testkit.http2_client import Http2Client, head
from testkit.site import Program, Site
from testkit.tls import listener_tls
from testkit.upstream import Upstream


@pytest.fixture
def secure(upstream: Upstream, certificate: Issued) -> Site:
    return Site([upstream.port], listener=listener_tls(certificate))


@pytest.fixture
def plain(program: Program, upstream: Upstream, secure: Site) -> Site:
    site = Site([upstream.port], route=f"https_redirect = {{ port = {secure.port} }}")
    program.serve(site, secure)
    return site


def test_the_same_url(plain: Site, secure: Site, upstream: Upstream) -> None:
    answer = plain.get("/a/b?c=d&e=%20")
    assert answer.status == 308
    assert answer.value("Location") == f"https://a.example:{secure.port}/a/b?c=d&e=%20"
    assert upstream.connection_count == 0


def test_the_usual_port_is_not_named(program: Program, upstream: Upstream) -> None:
    site = Site([upstream.port], route="https_redirect = true")
    program.serve(site)
    with site.client() as client:
        answer = client.request(b"GET /x HTTP/1.1\r\nHost: a.example:80\r\n\r\n")
    assert answer.value("Location") == "https://a.example/x"


def test_over_http2(plain: Site, secure: Site) -> None:
    with Http2Client(plain.port) as client:
        answer = client.request(head("GET", "/x"))
    assert answer.status == 308
    assert answer.value("location") == f"https://a.example:{secure.port}/x"


def test_a_client_that_follows(plain: Site, secure: Site, authority: Authority) -> None:
    resolve = [f"site.example:{site.port}:127.0.0.1" for site in (plain, secure)]
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--location"]
    command += ["--cacert", str(authority.ca), "--resolve", resolve[0], "--resolve", resolve[1]]
    command += ["--write-out", "\n%{http_code} %{http_version} %{num_redirects} %{scheme}"]
    done = subprocess.run(
        [*command, f"http://site.example:{plain.port}/there?q=1"],
        capture_output=True,
        timeout=10,
        check=True,
    )
    assert done.stdout.startswith(b"GET /there?q=1 HTTP/1.1\r\n")
    assert done.stdout.endswith(b"\n200 2 1 HTTPS")
