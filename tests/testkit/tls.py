"""TLS as tests write it: a listener's keys in TOML, clients that look at what they are shown."""

import json
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from testkit.certificates import Issued
from testkit.ports import LOOPBACK

# What clients call failures of the handshake: alerts, and what OpenSSL makes of them.
Version = ssl.TLSVersion


def files(issued: Issued, **more: str | Path) -> str:
    """A certificate's inline table in TOML."""
    paths = {"certificate": issued.certificate, "key": issued.key, **more}
    return "{ " + ", ".join(f"{key} = {toml(path)}" for key, path in paths.items()) + " }"


def toml(value: object) -> str:
    """A string, path, number, boolean or list of them."""
    return json.dumps(value, default=str)


def listener_tls(*certificates: Issued | str, **keys: object) -> str:
    """Keys of a listener with TLS.

    Args:
        certificates: By preference, or tables made by ``files``.
        keys: More of its ``tls`` table; dots in names are written as ``__``.
    """
    tables = [item if isinstance(item, str) else files(item) for item in certificates]
    lines = [f"tls.certificates = [{', '.join(tables)}]"]
    lines += [f"tls.{key.replace('__', '.')} = {toml(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def trusting(
    *authorities: Path,
    alpn: Sequence[str] = (),
    shows: Issued | None = None,
    checks_name: bool = True,
    only: Version | None = None,
) -> ssl.SSLContext:
    """For a client that believes these authorities.

    Args:
        authorities: PEM files; none: whoever answers is believed.
        alpn: Protocols that it offers.
        shows: What it shows when asked who it is.
        checks_name: Whether the certificate must be for the name that was asked for.
        only: The only version that it speaks.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = checks_name and bool(authorities)
    context.verify_mode = ssl.CERT_REQUIRED if authorities else ssl.CERT_NONE
    for authority in authorities:
        context.load_verify_locations(authority)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if shows is not None:
        context.load_cert_chain(shows.certificate, shows.key)
    if only is not None:
        context.minimum_version = context.maximum_version = only
    return context


def der(issued: Issued) -> bytes:
    """The certificate as it goes over the wire."""
    return issued.made.public_bytes(Encoding.DER)


def s_client(port: int, *options: str, said: str = "") -> str:
    """What ``openssl s_client`` prints; the connection ends when ``said`` is sent.

    It offers what Python's ssl module cannot: old versions, signature algorithms, a status request.
    """
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{LOOPBACK}:{port}", *options],
        input=said,
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    return done.stdout + done.stderr
