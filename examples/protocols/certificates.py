"""Certificates for trying TLS out: an authority of one's own, and what it issues for localhost.

    python examples/protocols/certificates.py DIRECTORY

Writes ca.pem (for clients: whom to believe), site.pem and site.key (for the listener), good for 30
days. The authority's key is thrown away, so nobody can issue anything else in its name.
"""

import ipaddress
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LIFETIME = timedelta(days=30)
# A clock that is a little behind must not refuse them.
HEAD_START = timedelta(hours=1)
NAMES = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]


def write_certificates(directory: Path) -> None:
    """Make all three files anew."""
    authority_key, site_key = _new_key(), _new_key()
    authority = _name("trunkline demo authority")
    ca = (
        _builder(authority, authority, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    site = (
        _builder(_name("localhost"), authority, site_key.public_key())
        .add_extension(x509.SubjectAlternativeName(NAMES), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    key = site_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "ca.pem").write_bytes(ca.public_bytes(Encoding.PEM))
    (directory / "site.pem").write_bytes(site.public_bytes(Encoding.PEM))
    _write_secret(directory / "site.key", key)


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - HEAD_START)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


if __name__ == "__main__":
    write_certificates(Path(sys.argv[1]))
