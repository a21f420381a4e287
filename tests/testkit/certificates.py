"""Certificates in files: an authority of one's own, what it issues, and what it calls back."""

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KeyType = Literal["p256", "rsa"]
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key.

    Attributes:
        certificate: PEM file.
        key: PEM file, not encrypted.
        made: The certificate itself.
    """

    certificate: Path
    key: Path
    made: x509.Certificate


class Authority:
    """An authority that writes what it issues into a folder.

    Args:
        folder: Where files go; two authorities in one folder need two names.
        name: Its own name, and that of its certificate's file.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = _make_key("p256")
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key, _now() - DAY, _now() + 30 * DAY)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        self._made = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca = self._write(f"{name}.pem", self._made.public_bytes(Encoding.PEM))

    def issue(
        self,
        file_name: str,
        names: Sequence[str] = (),
        *,
        uris: Sequence[str] = (),
        key_type: KeyType = "p256",
        starts: timedelta = -DAY,
        ends: timedelta = DAY,
    ) -> Issued:
        """A certificate for servers and clients, `file_name.pem` and `file_name.key`.

        Args:
            file_name: Also its common name.
            names: DNS names, wildcards and IP addresses.
            uris: Further names.
            key_type: Kind of key.
            starts: Beginning of its validity, from now.
            ends: End of its validity, from now.
        """
        key = _make_key(key_type)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file_name)])
        builder = self._builder(subject, key, _now() + starts, _now() + ends)
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        alternatives = [_general_name(name) for name in names]
        alternatives += [x509.UniformResourceIdentifier(uri) for uri in uris]
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        made = builder.sign(self._key, hashes.SHA256())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        certificate = self._write(f"{file_name}.pem", made.public_bytes(Encoding.PEM))
        return Issued(certificate, self._write(f"{file_name}.key", pem), made)

    def revoke(self, *called_back: Issued, file_name: str = "revoked.crl") -> Path:
        """A revocation list (PEM), good for a day."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(_now() - DAY)
            .next_update(_now() + DAY)
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        for issued in called_back:
            revoked = x509.RevokedCertificateBuilder().serial_number(issued.made.serial_number)
            builder = builder.add_revoked_certificate(revoked.revocation_date(_now() - DAY).build())
        made = builder.sign(self._key, hashes.SHA256())
        return self._write(file_name, made.public_bytes(Encoding.PEM))

    def vouch(
        self,
        issued: Issued,
        status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
        file_name: str = "response.der",
        *,
        ends: timedelta = DAY,
    ) -> Path:
        """An OCSP response (DER) about a certificate, good for a day or until ``ends`` from now."""
        is_revoked = status is ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=issued.made,
            issuer=self._made,
            # RFC 5019 §2.1.1: what certificates are identified by.
            algorithm=hashes.SHA1(),
            cert_status=status,
            this_update=_now() - DAY,
            next_update=_now() + ends,
            revocation_time=_now() - DAY if is_revoked else None,
            revocation_reason=None,
        )
        responder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self._made)
        made = responder.sign(self._key, hashes.SHA256())
        return self._write(file_name, made.public_bytes(Encoding.DER))

    def client_context(
        self, issued: Issued | None = None, alpn: Sequence[str] = ()
    ) -> ssl.SSLContext:
        """For a client that believes this authority alone.

        Args:
            issued: What it shows when asked who it is.
            alpn: Protocols that it offers.
        """
        context = ssl.create_default_context(cafile=self.ca)
        if issued is not None:
            context.load_cert_chain(issued.certificate, issued.key)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def server_context(
        self, issued: Issued, *, asks: bool = False, alpn: Sequence[str] = ()
    ) -> ssl.SSLContext:
        """For a server with this certificate.

        Args:
            issued: What it shows.
            asks: Whether clients must show a certificate of this authority.
            alpn: Protocols that it accepts.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        context.load_cert_chain(issued.certificate, issued.key)
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def _builder(
        self, subject: x509.Name, key: PrivateKey, start: datetime, end: datetime
    ) -> x509.CertificateBuilder:
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        own_key = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(issuer_key, critical=False)
            .add_extension(own_key, critical=False)
        )

    def _write(self, file_name: str, content: bytes) -> Path:
        path = self._folder / file_name
        path.write_bytes(content)
        return path


def _now() -> datetime:
    return datetime.now(UTC)


def _make_key(key_type: KeyType) -> PrivateKey:
    if key_type == "rsa":
        return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return ec.generate_private_key(ec.SECP256R1())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
