"""TLS tables as people write them, and the plan that comes of them."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from trunkline.core.config.document import read_document
from trunkline.core.config.models import Model
from trunkline.core.config.tls import ListenerTls, UpstreamTls
from trunkline.core.config.validation import validate

FOLDER = Path("/etc/trunkline")


class Both(Model):
    """As listeners and pools have them."""

    tls: ListenerTls | None = None
    upstream: UpstreamTls | None = None


def plan_of(**table: Any) -> dict[str, Any]:
    return ListenerTls.model_validate(table).to_plan_from(FOLDER)


def test_one_certificate_in_short() -> None:
    assert plan_of(certificate="site.pem", key="/keys/site.key", ocsp="site.ocsp") == {
        "certificates": [
            {
                "certificate": "/etc/trunkline/site.pem",
                "key": "/keys/site.key",
                "ocsp": "/etc/trunkline/site.ocsp",
            }
        ]
    }


def test_a_file_may_hold_both() -> None:
    both = {"certificate": "/etc/trunkline/a.pem", "key": "/etc/trunkline/a.pem"}
    assert plan_of(certificate="a.pem") == {"certificates": [both]}
    assert plan_of(certificates=[{"certificate": "a.pem"}]) == {"certificates": [both]}


def test_everything_that_can_be_written() -> None:
    plan = plan_of(
        certificates=[{"certificate": "a.pem", "key": "a.key"}],
        strict_sni=True,
        alpn="http/1.1",
        min_version="1.3",
        ciphers="TLS_AES_128_GCM_SHA256",
        client_auth={"mode": "optional", "ca": "ca.pem", "crl": "ca.crl", "forward": ["hash"]},
        tickets={"lifetime": "1h", "keys_file": "tickets.keys"},
    )
    assert plan == {
        "certificates": [
            {"certificate": "/etc/trunkline/a.pem", "key": "/etc/trunkline/a.key"},
        ],
        "strict_sni": True,
        "alpn": ["http/1.1"],
        "min_version": "1.3",
        "ciphers": ["TLS_AES_128_GCM_SHA256"],
        "client_auth": {
            "mode": "optional",
            "ca": "/etc/trunkline/ca.pem",
            "crl": ["/etc/trunkline/ca.crl"],
            "forward": ["hash"],
        },
        "tickets": {"lifetime_s": 3_600, "keys_file": "/etc/trunkline/tickets.keys"},
    }


def test_certificates_of_an_issuer_stand_behind_those_from_files() -> None:
    tls = ListenerTls.model_validate(
        {"certificate": "a.pem", "acme": {"names": ["shop.example", "www.shop.example"]}}
    )
    plan = tls.to_plan_from(FOLDER, [Path("/state/shop.pem")])
    assert plan["acme"] is True
    assert [files["certificate"] for files in plan["certificates"]] == [
        "/etc/trunkline/a.pem",
        "/state/shop.pem",
    ]
    source = ("lb", "http", "front", "tls")
    assert tls.parts(source) == {
        "tls.certificates[0]": source,
        "tls.certificates[1]": (*source, "acme"),
    }


def test_listed_certificates_stand_where_the_plan_says() -> None:
    acme = [{"names": ["a.example"]}, {"names": ["b.example"]}]
    tls = ListenerTls.model_validate({"certificates": [{"certificate": "a.pem"}], "acme": acme})
    assert tls.parts(("tls",)) == {
        "tls.certificates[1]": ("tls", "acme"),
        "tls.certificates[2]": ("tls", "acme"),
    }


def test_an_upstream_needs_no_key() -> None:
    assert UpstreamTls().to_plan_from(FOLDER) == {}


def test_an_upstream_with_everything() -> None:
    tls = UpstreamTls(
        ca="ca.pem",
        verify=True,
        server_name="app.internal",
        certificate="us.pem",
        min_version="1.3",
    )
    assert tls.to_plan_from(FOLDER) == {
        "ca": "/etc/trunkline/ca.pem",
        "verify": True,
        "server_name": "app.internal",
        "certificate": "/etc/trunkline/us.pem",
        "key": "/etc/trunkline/us.pem",
        "min_version": "1.3",
    }


def test_a_relative_folder_is_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = UpstreamTls(ca="ca.pem").to_plan_from(Path("conf"))
    assert plan == {"ca": str(tmp_path / "conf/ca.pem")}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[tls]", "1: tls: needs certificate, certificates or acme"),
        ('[tls]\nkey = "a.key"', "1: tls: key without certificate"),
        (
            '[tls]\ncertificate = "a.pem"\ncertificates = [{ certificate = "b.pem" }]',
            '1: tls: has "certificate" and "certificates"; move it into the list',
        ),
        (
            '[tls]\ncertificate = "a.pem"\nmin_version = "1.1"',
            '3: tls.min_version: must be one of "1.2", "1.3", not "1.1"; did you mean "1.3"?',
        ),
        (
            '[tls]\ncertificate = "a.pem"\nalpn = ["h3"]',
            '3: tls.alpn[0]: must be one of "h2", "http/1.1", not "h3"',
        ),
        (
            '[tls]\ncertificate = "a.pem"\ntickets.lifetime = "8d"',
            "3: tls.tickets.lifetime: must be at most 7d, not 8d",
        ),
        (
            '[tls]\ncertificate = "a.pem"\n[tls.client_auth]\nmode = "optional"',
            "3: tls.client_auth.ca: is missing, and has no default",
        ),
        (
            '[tls]\nacme = { names = ["*.shop.example"] }',
            '2: tls.acme[0]: "*.shop.example": no wildcards; '
            "they cannot be proven over HTTP or TLS",
        ),
        ('[upstream]\nkey = "a.key"', "1: upstream: key without certificate"),
        (
            '[upstream]\nverify = false\nca = "ca.pem"',
            "1: upstream: ca does nothing with verify = false; remove one",
        ),
    ],
)
def test_a_mistake_is_named_at_its_key(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "t.toml"
    file.write_text(text)
    document = read_document(file, {})
    validate(Both, document)
    assert [str(found).removeprefix(f"{file}:") for found in document.problems] == [problem]


def test_a_table_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        ListenerTls(certificate="a.pem").strict_sni = True  # type: ignore[misc]
