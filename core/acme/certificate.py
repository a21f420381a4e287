"""Certificates as PEM: reads what an issuer sent, makes keys, stand-ins and challenge answers.

A bundle is one text: the private key first, then the chain with the leaf first. One file holds it,
so certificate and key can never be of two minds, whenever the machine stops. Times are seconds
since the epoch. Nothing here reads a clock or a file.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from trunkline.core.config.acme import KeyType

# RFC 8737 §6.1: id-pe-acmeIdentifier.
_ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
# DER: an OCTET STRING of 32 bytes follows (RFC 8737 §3).
_OCTET_STRING_32 = b"\x04\x20"
# Nobody trusts a stand-in, so its lifetime only has to outlast an issuer's bad week.
_STAND_IN_LIFETIME = timedelta(days=30)
# A challenge is looked at within minutes; the room before allows for clocks that differ.
_CHALLENGE_LIFETIME = timedelta(days=1)
_CLOCK_ROOM = timedelta(hours=1)
# RFC 5280 allows 64 characters in a common name; names may be longer, so it says what this is.
_STAND_IN_NAME = "trunkline stand-in"

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class BundleError(ValueError):
    """A text that is no certificate with its key; says why."""


@dataclass(frozen=True)
class Bundle:
    """A certificate with its key.

    Attributes:
        pem: Key and chain.
        names: The host names it is good for.
        key_type: Kind of key; None if it is none that we make.
        not_before_s: Beginning of its validity, seconds since the epoch.
        not_after_s: End of its validity, seconds since the epoch.
        is_self_signed: Whether it vouches for itself, as a stand-in does.
    """

    pem: bytes
    names: frozenset[str]
    key_type: KeyType | None
    not_before_s: float
    not_after_s: float
    is_self_signed: bool

    @classmethod
    def parse(cls, pem: bytes) -> Self:
        """Read a bundle.

        Raises:
            BundleError: Parts are missing or broken, or do not belong together.
        """
        try:
            key = load_pem_private_key(pem, password=None)
            leaf = x509.load_pem_x509_certificates(pem)[0]
            names = _host_names(leaf)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BundleError(f"not a key and a certificate in PEM: {error}") from error
        if _public_bytes(key.public_key()) != _public_bytes(leaf.public_key()):
            raise BundleError("the certificate does not belong to the key")
        return cls(
            pem=pem,
            names=names,
            key_type=_key_type(key),
            not_before_s=leaf.not_valid_before_utc.timestamp(),
            not_after_s=leaf.not_valid_after_utc.timestamp(),
            is_self_signed=leaf.issuer == leaf.subject,
        )

    def is_good_for(self, names: frozenset[str], key_type: KeyType) -> bool:
        """Whether an issuer vouches in it for all of these names, with such a key."""
        return names <= self.names and self.key_type == key_type and not self.is_self_signed


def _host_names(certificate: x509.Certificate) -> frozenset[str]:
    extensions = certificate.extensions
    try:
        found = extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(name.lower() for name in found.value.get_values_for_type(x509.DNSName))


def _public_bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_type(key: PrivateKeyTypes) -> KeyType | None:
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return "p256"
    return "rsa2048" if isinstance(key, rsa.RSAPrivateKey) and key.key_size == 2048 else None


def make_key(key_type: KeyType) -> bytes:
    """A new private key as PKCS #8 PEM."""
    return _key_pem(_new_key(key_type))


def make_stand_in(names: frozenset[str], now_s: float) -> Bundle:
    """A self-signed certificate, so that a listener can start before the first real one exists."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _STAND_IN_NAME)])
    pem = b"".join(_self_signed(subject, sorted(names), now_s, _STAND_IN_LIFETIME))
    return Bundle.parse(pem)


def make_challenge_certificate(
    name: str, key_authorization: str, now_s: float
) -> tuple[bytes, bytes]:
    """The certificate that proves a name by TLS-ALPN (RFC 8737 §3).

    Returns:
        Certificate and key, both as PEM.
    """
    digest = hashlib.sha256(key_authorization.encode("ascii")).digest()
    identifier = x509.UnrecognizedExtension(_ACME_IDENTIFIER, _OCTET_STRING_32 + digest)
    key, certificate = _self_signed(x509.Name([]), [name], now_s, _CHALLENGE_LIFETIME, identifier)
    return certificate, key


def _self_signed(
    subject: x509.Name,
    names: list[str],
    now_s: float,
    lifetime: timedelta,
    critical: x509.ExtensionType | None = None,
) -> tuple[bytes, bytes]:
    """Key and certificate as PEM."""
    key = _new_key("p256")
    now = datetime.fromtimestamp(now_s, UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_ROOM)
        .not_valid_after(now + lifetime)
        # RFC 5280 §4.2.1.6: critical where there is no subject.
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]),
            critical=not list(subject),
        )
    )
    if critical is not None:
        builder = builder.add_extension(critical, critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    return _key_pem(key), certificate.public_bytes(Encoding.PEM)


def _new_key(key_type: KeyType) -> PrivateKey:
    if key_type == "rsa2048":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
