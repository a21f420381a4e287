"""Automatic certificates (ACME, RFC 8555): who issues them, and what a listener asks for.

`[acme.NAME]` is an issuer with an account of ours. A listener asks for a certificate by
`acme = { names = [...] }` in its TLS table. How they are obtained: `trunkline.core.acme`.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema

from trunkline.core.config.models import Model, Name
from trunkline.core.config.values import Duration, Strings, shown

# The directories as the issuer publishes them, by the name that a configuration may use.
DIRECTORIES = {
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}
ChallengeType = Literal["tls-alpn-01", "http-01"]
KeyType = Literal["p256", "rsa2048"]
# The most that Let's Encrypt puts into one certificate; others allow fewer, none that we know more.
_MOST_NAMES = 100
# RFC 1035 §2.3.4.
_LONGEST_NAME = 253
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# RFC 4648 §5, padding left out or not.
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}")


def _directory(value: object) -> object:
    url = DIRECTORIES.get(value, value) if isinstance(value, str) else value
    # RFC 8555 §6.1: "Use of HTTPS is REQUIRED".
    if isinstance(url, str) and not re.fullmatch(r"https://[^\s/]+(/\S*)?", url):
        known = ", ".join(f'"{name}"' for name in DIRECTORIES)
        raise ValueError(f"must be {known} or an https:// URL, not {shown(url)}")
    return url


def _accepted(value: bool) -> bool:
    if not value:
        raise ValueError("must be true: issuers serve only those who accept their terms")
    return value


def _dns_names(names: list[str]) -> list[str]:
    for name in names:
        _check_dns_name(name)
    return sorted({name.lower() for name in names})


def _check_dns_name(name: str) -> None:
    if name.startswith("*."):
        # RFC 8555 §8.3 and RFC 8737 §3 prove one host; wildcards take dns-01.
        raise ValueError(f"{shown(name)}: no wildcards; they cannot be proven over HTTP or TLS")
    labels = name.lower().split(".")
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{shown(name)} is no host name; write it in ASCII (xn--… for others)")
    if len(labels) < 2 or labels[-1].isdigit():
        raise ValueError(f"{shown(name)} is no full host name such as www.shop.example")


def _email(value: str) -> str:
    if not re.fullmatch(r"[^@\s,]+@[^@\s,]+", value):
        raise ValueError(f"must be one mail address, not {shown(value)}")
    return value


def _hmac_key(value: SecretStr) -> SecretStr:
    if not _BASE64URL.fullmatch(value.get_secret_value()):
        raise ValueError("must be the base64url text that the issuer gave out")
    return value


def _different(values: list[ChallengeType]) -> list[ChallengeType]:
    if len(set(values)) < len(values):
        raise ValueError("names a challenge twice")
    return values


ChallengeTypes = Annotated[list[ChallengeType], Field(min_length=1), AfterValidator(_different)]


class ExternalAccount(Model):
    """Ties the ACME account to one that the issuer knows already (RFC 8555 §7.3.4)."""

    kid: Annotated[str, Field(min_length=1)]
    """Key identifier, as the issuer gave it out."""
    hmac_key: Annotated[SecretStr, AfterValidator(_hmac_key)]
    """The MAC key that came with it, in base64url."""


class AcmeIssuer(Model):
    """Where certificates come from, and with which account."""

    directory: Annotated[
        str,
        BeforeValidator(_directory),
        WithJsonSchema({"type": "string", "examples": list(DIRECTORIES)}),
    ] = DIRECTORIES["letsencrypt"]
    """`letsencrypt`, `letsencrypt-staging` or the URL of an ACME directory; default letsencrypt,
    which is https://acme-v02.api.letsencrypt.org/directory."""
    accept_terms: Annotated[bool, AfterValidator(_accepted)]
    """Must be true: you have read the issuer's terms of service and agree."""
    email: Annotated[str, AfterValidator(_email)] | None = None
    """Whom the issuer may write to; default nobody."""
    challenges: ChallengeTypes = Field(default=["tls-alpn-01", "http-01"])
    """How names are proven, the preferred way first. `tls-alpn-01` needs port 443 of the names to
    reach a TLS listener, `http-01` port 80 a plain one; default both, in this order."""
    ca: str | None = None
    """PEM file with the authorities to trust when talking to the issuer, relative to the
    configuration's folder; default: the public ones."""
    renew_before: Duration | None = None
    """How long before its end a certificate is renewed; default: a third of its lifetime."""
    key_type: KeyType = "p256"
    """`p256` or `rsa2048`; default p256."""
    external_account: ExternalAccount | None = None
    """Only for issuers that ask for it."""


class AcmeCertificate(Model):
    """One certificate that a listener asks for."""

    names: Annotated[
        Strings, Field(min_length=1, max_length=_MOST_NAMES), AfterValidator(_dns_names)
    ]
    """The host names in it; no wildcards."""
    issuer: Name | None = None
    """Which `[acme.NAME]`; default: the only one."""
