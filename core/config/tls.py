"""TLS of listeners and towards servers, as people write it.

The plan (`native/crates/tls/src/plan.rs`) names files by absolute paths; the native side reads and
checks them, so that `check` and a reload find the same mistakes.
"""

from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from trunkline.core.config.acme import AcmeCertificate
from trunkline.core.config.models import Model, in_plan
from trunkline.core.config.positions import Path
from trunkline.core.config.values import Strings, WholeSeconds, duration_text, one_or_more

Version = Literal["1.2", "1.3"]
Protocol = Literal["h2", "http/1.1"]
ForwardedPart = Literal["hash", "cert", "subject", "uri", "dns"]
# RFC 8446 §4.6.1: a ticket's lifetime is at most 7 days.
_LONGEST_TICKET_S = 604_800


class CertificateFiles(Model):
    """A certificate and its key; paths are relative to the configuration's folder."""

    certificate: str
    """PEM: the server's own certificate first, then those that vouch for it."""
    key: str | None = None
    """PEM, not encrypted; default: in the certificate's file."""
    ocsp: str | None = None
    """An OCSP response in DER, stapled to the certificate; default none."""

    def to_plan_from(self, folder: FilePath) -> dict[str, str]:
        """The files, with the key's always named."""
        files = {
            "certificate": self.certificate,
            "key": self.key or self.certificate,
            "ocsp": self.ocsp,
        }
        return _absolute(folder, files)


class ClientAuth(Model):
    """Certificates of clients. Paths are relative to the configuration's folder."""

    mode: Literal["required", "optional"] | None = None
    """`optional` lets in who has none; one that is not valid is refused either way; default
    required."""
    ca: str
    """PEM: the authorities that are believed."""
    crl: Annotated[list[str], one_or_more(str)] | None = None
    """PEM or DER: lists of certificates that were called back. Who signs clients' certificates must
    have one among them that is in date; default none."""
    forward: Annotated[list[ForwardedPart], one_or_more(ForwardedPart)] | None = None
    """What servers are told in `X-Forwarded-Client-Cert`: hash, cert, subject, uri, dns; default
    all but cert. What clients send by that name is dropped."""

    def to_plan_from(self, folder: FilePath) -> dict[str, Any]:
        """What was written, files by absolute paths."""
        lists = {"crl": [_absolute_path(folder, file) for file in self.crl]} if self.crl else {}
        return {**self.to_plan(), **_absolute(folder, {"ca": self.ca}), **lists}


def _at_most_a_week(seconds: int) -> int:
    if seconds > _LONGEST_TICKET_S:
        raise ValueError(f"must be at most 7d, not {duration_text(seconds * 1_000)}")
    return seconds


TicketLifetime = Annotated[WholeSeconds, AfterValidator(_at_most_a_week)]


class Tickets(Model):
    """Session tickets: who comes again need not prove everything anew."""

    lifetime: TicketLifetime | None = in_plan("lifetime_s")
    """How long one is good for, at most 7d; 0s = none are issued; default 2h. Keys that are drawn
    are exchanged as often."""
    keys_file: str | None = None
    """Keys that several machines share, relative to the configuration's folder: one a line in
    base64 or hex, 32, 48 or 80 bytes. The first issues, all are accepted; default: keys are
    drawn."""

    def to_plan_from(self, folder: FilePath) -> dict[str, Any]:
        """What was written, the file by its absolute path."""
        return {**self.to_plan(), **_absolute(folder, {"keys_file": self.keys_file})}


def _acme_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


AcmeCertificates = Annotated[
    list[AcmeCertificate],
    Field(min_length=1),
    BeforeValidator(_acme_list, json_schema_input_type=list[AcmeCertificate] | AcmeCertificate),
]


class ListenerTls(Model):
    """TLS of a listener: `certificate` and `key` for one certificate, `certificates` for more."""

    certificate: str | None = None
    """PEM: the server's own certificate first, then those that vouch for it; relative to the
    configuration's folder."""
    key: str | None = None
    """PEM, not encrypted; default: in the certificate's file."""
    ocsp: str | None = None
    """An OCSP response in DER, stapled to the certificate; default none."""
    certificates: Annotated[list[CertificateFiles], Field(min_length=1)] | None = None
    """Chosen by the name that a client asks for (SNI) and the keys that it can verify; the first
    one is for other names and for none."""
    acme: AcmeCertificates | None = None
    """Certificates that an `[acme.NAME]` issues, `{ names = ["shop.example"] }` or a list; they
    stand behind those from files."""
    strict_sni: bool | None = None
    """Refuse clients that ask for no name or for one that no certificate is for; default false."""
    alpn: Annotated[list[Protocol], Field(min_length=1), one_or_more(Protocol)] | None = None
    """Application protocols by preference; default h2 and http/1.1. A client that offers only
    others is refused, one that offers none speaks HTTP/1.1."""
    min_version: Version | None = None
    """`"1.2"` or `"1.3"`; default 1.2."""
    ciphers: Annotated[Strings, Field(min_length=1)] | None = None
    """Cipher suites by IANA's names, by preference; default all that are safe, by the client's
    preference."""
    client_auth: ClientAuth | None = None
    """Ask clients for certificates; default: do not."""
    tickets: Tickets | None = None

    @model_validator(mode="after")
    def _one_way_to_name_files(self) -> "ListenerTls":
        short = self.model_fields_set & {"certificate", "key", "ocsp"}
        if short and self.certificates is not None:
            raise ValueError('has "certificate" and "certificates"; move it into the list')
        if short and self.certificate is None:
            raise ValueError(f"{' and '.join(sorted(short))} without certificate")
        if not short and self.certificates is None and self.acme is None:
            raise ValueError("needs certificate, certificates or acme")
        return self

    def to_plan_from(self, folder: FilePath, acme_files: Sequence[FilePath] = ()) -> dict[str, Any]:
        """The plan's `tls` of a listener.

        Args:
            folder: The configuration's folder.
            acme_files: Where each certificate of `acme` is kept, key and chain in one file.
        """
        simple = {"strict_sni", "alpn", "min_version", "ciphers"}
        plan = self.model_dump(by_alias=True, exclude_unset=True, include=simple)
        kept = [CertificateFiles(certificate=str(file)) for file in acme_files]
        plan["certificates"] = [files.to_plan_from(folder) for files in (*self._files(), *kept)]
        plan |= {"acme": True} if self.acme else {}
        plan |= {"client_auth": self.client_auth.to_plan_from(folder)} if self.client_auth else {}
        return plan | ({"tickets": self.tickets.to_plan_from(folder)} if self.tickets else {})

    def parts(self, source: Path) -> dict[str, Path]:
        """Where certificates of the plan stand that the configuration names differently.

        Args:
            source: The key of this table.
        """
        written = len(self._files())
        short = {"tls.certificates[0]": source} if self.certificate is not None else {}
        acme = range(written, written + len(self.acme or []))
        return short | {f"tls.certificates[{index}]": (*source, "acme") for index in acme}

    def _files(self) -> list[CertificateFiles]:
        if self.certificate is not None:
            one = CertificateFiles(certificate=self.certificate, key=self.key, ocsp=self.ocsp)
            return [one]
        return self.certificates or []


class UpstreamTls(Model):
    """TLS to the servers of a pool; paths are relative to the configuration's folder."""

    ca: str | None = None
    """PEM: the authorities that are believed; default: those of the operating system."""
    verify: bool | None = None
    """False: believe whoever answers; default true."""
    server_name: Annotated[str, Field(min_length=1)] | None = None
    """The name to ask for (SNI) and to find in the certificate; default: each server's host."""
    certificate: str | None = None
    """PEM: what servers are shown that ask who we are; default nothing."""
    key: str | None = None
    """PEM, not encrypted; default: in the certificate's file."""
    min_version: Version | None = None
    """`"1.2"` or `"1.3"`; default 1.2."""

    @model_validator(mode="after")
    def _nothing_without_effect(self) -> "UpstreamTls":
        if self.key is not None and self.certificate is None:
            raise ValueError("key without certificate")
        if self.verify is False and self.ca is not None:
            raise ValueError("ca does nothing with verify = false; remove one")
        return self

    def to_plan_from(self, folder: FilePath) -> dict[str, Any]:
        """What was written, files by absolute paths."""
        key = self.key or self.certificate
        files = {"ca": self.ca, "certificate": self.certificate, "key": key}
        return {**self.to_plan(), **_absolute(folder, files)}


def _absolute(folder: FilePath, files: dict[str, str | None]) -> dict[str, str]:
    return {key: _absolute_path(folder, file) for key, file in files.items() if file is not None}


def _absolute_path(folder: FilePath, file: str) -> str:
    return str((folder / file).absolute())
