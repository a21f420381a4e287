"""What an issuer's account and certificates are on disk, under the state folder.

    acme/HOST-HASH/                    an issuer; the hash is of its directory's URL
        account.json                   key and URL of our account
        lock                           held during an order, also against other processes
        NAME-HASH/                     a certificate; the hash is of its names and kind of key
            certificate.pem            key and chain, or a stand-in
            attempts.json              failures, and when to try again

Folders are 0700, files 0600. Each file is replaced in one step and is on the disk before the call
returns. A file that cannot be understood is moved aside to NAME.corrupt and counts as missing.
"""

import fcntl
import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import TypeAdapter

from trunkline.core.acme.certificate import Bundle, make_stand_in
from trunkline.core.acme.schedule import Attempts
from trunkline.core.config.acme import KeyType

log = logging.getLogger("trunkline.acme")

Read = TypeVar("Read")
_HASH_CHARACTERS = 16
_ACCOUNT = "account.json"
_CERTIFICATE = "certificate.pem"
# With a hash and the prefix and suffix of a fresh file it stays below the 255 bytes of a file name.
_MOST_NAME_CHARACTERS = 200


@dataclass(frozen=True)
class Account:
    """An account of ours with an issuer.

    Attributes:
        key_pem: Its private key.
        url: Its URL; None until the issuer has told.
        email: What the issuer was told.
    """

    key_pem: str
    url: str | None = None
    email: str | None = None


_ACCOUNTS = TypeAdapter(Account)
_ATTEMPTS = TypeAdapter(Attempts)


class IssuerStore:
    """The folder of one issuer.

    Args:
        root: The state folder.
        directory: URL of the issuer's directory.
    """

    def __init__(self, root: Path, directory: str) -> None:
        # The port too, as a file name: `ca.internal:9000`.
        self.folder = root / "acme" / f"{urlsplit(directory).netloc}-{_digest(directory)}"

    def read_account(self) -> Account | None:
        """The account, None if there is none."""
        return _read(self.folder / _ACCOUNT, _parse_account)

    def write_account(self, account: Account) -> None:
        """Keep the account.

        Raises:
            OSError: The file cannot be written.
        """
        _write(self.folder / _ACCOUNT, _ACCOUNTS.dump_json(account))

    def certificate(self, names: frozenset[str], key_type: KeyType) -> "CertificateStore":
        """The folder of the certificate with these names."""
        text = " ".join([key_type, *sorted(names)])
        folder = self.folder / f"{min(names)[:_MOST_NAME_CHARACTERS]}-{_digest(text)}"
        return CertificateStore(folder, names)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Wait until no other process orders here, and keep others waiting.

        Raises:
            OSError: The file cannot be made.
        """
        _make_folder(self.folder)
        with open(os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600), "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


class CertificateStore:
    """The folder of one certificate.

    Args:
        folder: Its own.
        names: The host names it is for.
    """

    def __init__(self, folder: Path, names: frozenset[str]) -> None:
        self.names = names
        self.path = folder / _CERTIFICATE
        self._attempts = folder / "attempts.json"

    def read(self) -> Bundle | None:
        """What is there, stand-ins included; None if nothing is."""
        return _read(self.path, Bundle.parse)

    def write(self, bundle: Bundle) -> None:
        """Replace it.

        Raises:
            OSError: The file cannot be written.
        """
        _write(self.path, bundle.pem)

    def ensure(self, now_s: float) -> None:
        """Put a stand-in there if nothing is, or only what is out of date, which nobody may show.

        A certificate of the same issuer that shares names with this one is a better stand-in than a
        self-signed one: who adds a name to a list keeps the others served meanwhile.

        Raises:
            OSError: The file cannot be written.
        """
        kept = self.read()
        if kept is None or kept.not_after_s <= now_s:
            self.write(self._best_neighbour(now_s) or make_stand_in(self.names, now_s))

    def read_attempts(self) -> Attempts:
        """What has become of the attempts so far."""
        return _read(self._attempts, _ATTEMPTS.validate_json) or Attempts()

    def write_attempts(self, attempts: Attempts) -> None:
        """Keep it, so that a restart does not begin to ask anew.

        Raises:
            OSError: The file cannot be written.
        """
        _write(self._attempts, _ATTEMPTS.dump_json(attempts))

    def _best_neighbour(self, now_s: float) -> Bundle | None:
        files = self.path.parent.parent.glob(f"*/{_CERTIFICATE}")
        bundles = (_read(file, Bundle.parse) for file in files)
        shared = [
            bundle
            for bundle in bundles
            if bundle and bundle.names & self.names and bundle.not_after_s > now_s
            if not bundle.is_self_signed
        ]
        return max(shared, key=lambda bundle: len(bundle.names & self.names), default=None)


def _parse_account(data: bytes) -> Account:
    account = _ACCOUNTS.validate_json(data)
    load_pem_private_key(account.key_pem.encode(), password=None)
    return account


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARACTERS]


def _make_folder(folder: Path) -> None:
    """The folder and those above it that are missing, for the user alone.

    `Path.mkdir` gives its mode to the last one only.
    """
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _read(file: Path, parse: Callable[[bytes], Read]) -> Read | None:
    try:
        return parse(file.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        aside = file.with_name(f"{file.name}.corrupt")
        log.error("%s is broken and is moved aside to %s: %s", file, aside.name, error)
        file.replace(aside)
        return None


def _write(file: Path, data: bytes) -> None:
    _make_folder(file.parent)
    # Its mode is 0600.
    descriptor, fresh = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with open(descriptor, "wb") as target:
            target.write(data)
            target.flush()
            os.fsync(target.fileno())
        Path(fresh).replace(file)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    """The name of a file is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
