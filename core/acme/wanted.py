"""The certificates that a configuration asks for, collected while its plan is built."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trunkline.core.config.acme import AcmeCertificate, AcmeIssuer
from trunkline.core.config.problems import listing, suggestion

if TYPE_CHECKING:
    from trunkline.core.acme.store import CertificateStore, IssuerStore


@dataclass(frozen=True)
class Wanted:
    """One certificate.

    Attributes:
        issuer_name: Its `[acme.NAME]`.
        issuer: What stands there.
        ca: The authorities to trust when talking to the issuer; None for the public ones.
        issuer_store: What is kept of the issuer.
        store: What is kept of the certificate.
    """

    issuer_name: str
    issuer: AcmeIssuer
    ca: Path | None
    issuer_store: "IssuerStore"
    store: "CertificateStore"

    @property
    def names(self) -> frozenset[str]:
        """Its host names."""
        return self.store.names


class WantedCertificates:
    """Collects them.

    Args:
        issuers: The tables `[acme.NAME]`.
        folder: The configuration's folder: relative paths begin there.
        root: The state folder.
    """

    def __init__(self, issuers: Mapping[str, AcmeIssuer], folder: Path, root: Path) -> None:
        self._issuers = issuers
        self._folder = folder
        self._root = root
        self._found: dict[tuple[str, Path], Wanted] = {}

    def add(self, certificate: AcmeCertificate) -> Path:
        """Ask for one; twice the same is one.

        Returns:
            The file for the plan, as certificate and as key. It exists: a stand-in is put there if
            there is no certificate yet.

        Raises:
            LookupError: No issuer has this name, or there is more than one to choose from.
            OSError: The state folder cannot be written.
        """
        # Imports cryptography, which takes longer than the whole start of who needs none.
        from trunkline.core.acme.store import IssuerStore

        name = self._issuer_name(certificate.issuer)
        issuer = self._issuers[name]
        ca = (self._folder / issuer.ca).absolute() if issuer.ca else None
        issuer_store = IssuerStore(self._root, issuer.directory)
        store = issuer_store.certificate(frozenset(certificate.names), issuer.key_type)
        store.ensure(time.time())
        self._found.setdefault((name, store.path), Wanted(name, issuer, ca, issuer_store, store))
        return store.path

    def ensure(self) -> None:
        """See to it that each can be shown; one that has ended meanwhile becomes a stand-in.

        Raises:
            OSError: The state folder cannot be written.
        """
        for wanted in self.all():
            wanted.store.ensure(time.time())

    def all(self) -> list[Wanted]:
        """Everything that was asked for, in order."""
        return list(self._found.values())

    def _issuer_name(self, given: str | None) -> str:
        known = sorted(self._issuers)
        if given is None and len(known) == 1:
            return known[0]
        if given is None:
            what = f"name one: {listing(known)}" if known else "add [acme.NAME]"
            raise LookupError(f"no issuer is given; {what}")
        if given not in known:
            hint = suggestion(given, known) or f"; there are: {listing(known)}"
            raise LookupError(f'no issuer is named "{given}"{hint}')
        return given
