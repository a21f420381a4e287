"""Stapling: a response from a file goes with the certificate it is for, to clients that ask."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509 import ocsp

from testkit.certificates import Authority, Issued
from testkit.site import Program, Site
from testkit.tls import files, listener_tls, s_client
from testkit.upstream import Upstream
from trunkline.cli import load_roles
from trunkline.core.commands.check import check


@pytest.fixture(scope="module")
def response(authority: Authority, certificate: Issued) -> Path:
    return authority.vouch(certificate)


@pytest.fixture
def site(
    program: Program, upstream: Upstream, authority: Authority, certificate: Issued, response: Path
) -> Site:
    """Two certificates, a response for the first."""
    other = authority.issue("unstapled", ["unstapled.example"])
    site = Site([upstream.port], listener=listener_tls(files(certificate, ocsp=response), other))
    program.serve(site)
    return site


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_clients_that_ask(site: Site, version: str) -> None:
    printed = s_client(site.port, version, "-status", "-servername", "site.example")
    assert "OCSP Response Status: successful" in printed
    assert "Cert Status: good" in printed


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_the_other_certificate_has_none(site: Site, version: str) -> None:
    printed = s_client(site.port, version, "-status", "-servername", "unstapled.example")
    assert "OCSP response: no response sent" in printed
    assert "CN = unstapled" in printed


def test_clients_that_do_not_ask(site: Site) -> None:
    assert "OCSP" not in s_client(site.port, "-servername", "site.example")


def test_a_new_response_comes_by_a_reload(
    program: Program, upstream: Upstream, authority: Authority
) -> None:
    issued = authority.issue("stapled-later", ["later.example"])
    path = authority.vouch(issued, file_name="later.der")
    content = path.read_bytes()
    other = authority.issue("somebody", ["else.example"])
    authority.vouch(other, file_name="later.der")
    site = Site([upstream.port], listener=listener_tls(files(issued, ocsp=path)))
    (error,) = program.refused(site)
    assert error["key"] == f"lb.http.{site.name}.tls.certificates[0].ocsp"
    path.write_bytes(content)
    program.serve(site)
    assert "Cert Status: good" in s_client(site.port, "-status", "-servername", "later.example")


def test_a_response_that_is_out_of_date_is_left_out(
    program: Program,
    upstream: Upstream,
    authority: Authority,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """It becomes so by itself: nothing may stop because of it. `check` says it all the same."""
    issued = authority.issue("stapled-late", ["late.example"])
    path = authority.vouch(issued, file_name="late.der", ends=timedelta(hours=-1))
    site = Site([upstream.port], listener=listener_tls(files(issued, ocsp=path)))
    program.serve(site)
    printed = s_client(site.port, "-status", "-servername", "late.example")
    assert "OCSP response: no response sent" in printed
    said = f"{path}: is out of date and not stapled; fetch a new one"
    entries = [json.loads(line) for line in program.trunkline.process.output().splitlines()]
    (warning,) = [entry for entry in entries if said in entry["message"]]
    assert warning["level"] == "warning"
    assert f"lb.http.{site.name}.tls.certificates[0].ocsp" in warning["message"]
    (tmp_path / "t.toml").write_text(site.config)
    assert check(tmp_path / "t.toml", load_roles()) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        ("garbage", "is no OCSP response in DER"),
        ("missing", "no such file"),
        ("revoked", "says that the certificate is revoked"),
        ("unknown", "says that the certificate is unknown to its issuer"),
        ("other", "is for another certificate"),
    ],
)
def test_responses_that_no_client_would_believe(
    program: Program, upstream: Upstream, authority: Authority, make: str, complaint: str
) -> None:
    issued = authority.issue(f"stapled-{make}", ["site.example"])
    path = authority.vouch(issued, file_name=f"{make}.der")
    match make:
        case "garbage":
            path.write_bytes(b"garbage")
        case "missing":
            path.unlink()
        case "revoked":
            authority.vouch(issued, ocsp.OCSPCertStatus.REVOKED, path.name)
        case "unknown":
            authority.vouch(issued, ocsp.OCSPCertStatus.UNKNOWN, path.name)
        case "other":
            authority.vouch(authority.issue("stapled-for"), file_name=path.name)
    site = Site([upstream.port], listener=listener_tls(files(issued, ocsp=path)))
    (error,) = program.refused(site)
    assert error["key"] == f"lb.http.{site.name}.tls.certificates[0].ocsp"
    assert error["message"].startswith(f"{path}: {complaint}")
