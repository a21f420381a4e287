"""A real ACME server on loopback, Pebble, and a minimal front that answers its challenges.

Pebble is the small issuer that the makers of Let's Encrypt test clients with; it keeps everything
in memory. A DNS server of the same package sends every name to 127.0.0.1, so names need not exist.
"""

import asyncio
import datetime
import ipaddress
import json
import ssl
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from testkit.loopthread import LoopThread
from testkit.ports import LOOPBACK, free_port, is_listening
from testkit.process import Process

# Account keys that Pebble knows when it asks for external accounts (RFC 8555 §7.3.4).
EXTERNAL_ACCOUNT = ("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W")
BLOCKED_NAME = "refused.example"
_ALPN = "acme-tls/1"
_PATH = b"/.well-known/acme-challenge/"


def write_self_signed(directory: Path, name: str = "server") -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself; the files of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address(LOOPBACK))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = directory / f"{name}.pem", directory / f"{name}.key"
    certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate_path, key_path


class Pebble:
    """A running Pebble with its DNS server; the ``with`` block ends both.

    Args:
        directory: Existing and its own.
        http_port: Where it looks for http-01.
        tls_port: Where it looks for tls-alpn-01.
        port: Where its directory is served; a free one by default.
        lifetime_s: Of its certificates.
        rejected_nonces: Percent of good nonces that it refuses.
        needs_external_account: Whether an account needs ``EXTERNAL_ACCOUNT``.
    """

    def __init__(
        self,
        directory: Path,
        *,
        http_port: int,
        tls_port: int,
        port: int = 0,
        lifetime_s: int = 90 * 86_400,
        rejected_nonces: int = 0,
        needs_external_account: bool = False,
    ) -> None:
        self._directory = directory
        self.ca, key = write_self_signed(directory, "pebble")
        self.port = port or free_port()
        self._management_port = free_port()
        self._config = {
            "listenAddress": f"{LOOPBACK}:{self.port}",
            "managementListenAddress": f"{LOOPBACK}:{self._management_port}",
            "certificate": str(self.ca),
            "privateKey": str(key),
            "httpPort": http_port,
            "tlsPort": tls_port,
            "certificateValidityPeriod": lifetime_s,
            "externalAccountBindingRequired": needs_external_account,
            "externalAccountMACKeys": dict([EXTERNAL_ACCOUNT]),
            "domainBlocklist": [BLOCKED_NAME],
        }
        self._environment = {
            # No pauses before it looks, no proofs of earlier orders taken.
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_AUTHZREUSE": "0",
            "PEBBLE_WFE_NONCEREJECT": str(rejected_nonces),
        }
        self._dns_port = free_port()
        self._dns = self._start_dns()
        self._pebble = self._start()

    @property
    def directory_url(self) -> str:
        """Where a client begins."""
        return f"https://{LOOPBACK}:{self.port}/dir"

    @property
    def issued(self) -> int:
        """How many certificates it has issued."""
        return self._pebble.output().count("Issued certificate serial")

    def root(self) -> str:
        """The authority that its certificates lead to, as PEM."""
        url = f"https://{LOOPBACK}:{self._management_port}/roots/0"
        trusting = ssl.create_default_context(cafile=str(self.ca))
        with urllib.request.urlopen(url, context=trusting, timeout=5) as response:
            text: str = response.read().decode()
        return text

    def fail(self) -> None:
        """Nobody listens at its address any more."""
        self._pebble.stop()

    def come_back(self) -> None:
        """The same address, but accounts and orders are forgotten."""
        self._pebble = self._start()

    def stop(self) -> None:
        """End both programs."""
        self._pebble.stop()
        self._dns.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> Process:
        config = self._directory / "pebble.json"
        config.write_text(json.dumps({"pebble": self._config}))
        dns = f"{LOOPBACK}:{self._dns_port}"
        command = ["pebble", "-config", str(config), "-dnsserver", dns]
        return self._run(command, self._environment, self.port)

    def _start_dns(self) -> Process:
        management_port = free_port()
        command = ["pebble-challtestsrv", "-defaultIPv4", LOOPBACK, "-defaultIPv6", ""]
        command += ["-dns01", f"{LOOPBACK}:{self._dns_port}"]
        command += ["-management", f"{LOOPBACK}:{management_port}"]
        for unused in ("-http01", "-https01", "-tlsalpn01"):
            command += [unused, ""]
        return self._run(command, {}, management_port)

    def _run(self, command: Sequence[str], environment: Mapping[str, str], port: int) -> Process:
        process = Process(
            command, directory=self._directory, name=command[0], environment=environment
        )
        return process.wait_ready(lambda: is_listening(port))


class ChallengeFront:
    """Serves what it is given by the two calls of ``trunkline.core.acme.front.Front``.

    HTTP on one port, TLS on another; everything but a challenge is refused.
    """

    def __init__(self, directory: Path) -> None:
        self.http_port, self.tls_port = free_port(), free_port()
        self.challenges: dict[str, str] = {}
        self.certificates: dict[str, ssl.SSLContext] = {}
        self.offered: set[str] = set()
        """Everything that was ever to be answered: tokens and names."""
        self.answered: list[str] = []
        """Which kind of challenge was looked at, in order."""
        self._directory = directory
        self._loop = LoopThread("challenge-front")
        self._servers = self._loop.call(self._open())

    def set_challenges(self, challenges: bytes) -> None:
        """Answer these over HTTP."""
        self.challenges = json.loads(challenges)
        self.offered |= self.challenges.keys()

    def set_challenge_certificates(self, certificates: bytes) -> None:
        """Answer TLS with these."""
        pairs = json.loads(certificates)
        self.certificates = {name: self._context(**pair) for name, pair in pairs.items()}
        self.offered |= self.certificates.keys()

    def close(self) -> None:
        """Stop serving."""
        for server in self._servers:
            self._loop.call(_close(server))
        self._loop.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _open(self) -> list[asyncio.Server]:
        certificate, key = write_self_signed(self._directory, "front")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols(["http/1.1"])
        context.sni_callback = self._choose
        return [
            await asyncio.start_server(self._serve_http, LOOPBACK, self.http_port),
            await asyncio.start_server(self._serve_tls, LOOPBACK, self.tls_port, ssl=context),
        ]

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        if name in self.certificates:
            connection.context = self.certificates[name]

    async def _serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ")[1]
        text = self.challenges.get(path.removeprefix(_PATH).decode(), "")
        status = "200 OK" if text else "404 Not Found"
        self.answered += ["http-01"] if text else []
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
        writer.close()

    async def _serve_tls(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() == _ALPN:
            self.answered.append("tls-alpn-01")
        writer.close()

    def _context(self, certificate: str, key: str) -> ssl.SSLContext:
        pair = self._directory / "challenge.pem"
        pair.write_text(key + certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair)
        context.set_alpn_protocols([_ALPN])
        return context


async def _close(server: asyncio.Server) -> None:
    server.close()
    await server.wait_closed()


class LimitedDirectory:
    """A directory of Pebble's, but for new orders, which are refused: too many of them.

    Args:
        pebble: Everything else is left to it.
        retry_after_s: What it says to those it refuses.
    """

    def __init__(self, pebble: Pebble, retry_after_s: int) -> None:
        trusting = ssl.create_default_context(cafile=str(pebble.ca))
        with urllib.request.urlopen(pebble.directory_url, context=trusting) as response:
            self._directory: dict[str, object] = json.load(response)
        self._retry_after_s = retry_after_s
        self._is_limited = True
        self._port = free_port()
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(pebble.ca, pebble.ca.with_suffix(".key"))
        self._loop = LoopThread("limited-directory")
        self._server = self._loop.call(
            asyncio.start_server(self._serve, LOOPBACK, self._port, ssl=serving)
        )

    @property
    def directory_url(self) -> str:
        """Where a client begins."""
        return f"https://{LOOPBACK}:{self._port}/dir"

    def lift(self) -> None:
        """No refusals any more."""
        self._is_limited = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call(_close(self._server))
        self._loop.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET "):
            ours = f"https://{LOOPBACK}:{self._port}/new-order"
            limits = {"newOrder": ours} if self._is_limited else {}
            status, body = "200 OK", json.dumps({**self._directory, **limits})
        else:
            kind = "urn:ietf:params:acme:error:rateLimited"
            status = f"429 Too Many Requests\r\nRetry-After: {self._retry_after_s}"
            body = json.dumps({"type": kind, "detail": "too many orders"})
        lines = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"HTTP/1.1 {status}\r\n{lines}Connection: close\r\n\r\n{body}".encode())
        writer.close()
