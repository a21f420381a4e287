"""What one run of the quick start consists of: its ports, its secrets, its configuration file.

Nothing is started here. `Plan.make` uses trunkline.toml as it is, or, with `free_ports`, a copy
whose ports nobody listens on, so that load tests and a running quick start do not meet.
"""

import base64
import hmac
import json
import random
import re
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path

CONFIG_PATH = Path(__file__).with_name("trunkline.toml")

# The ports of trunkline.toml that others need to know.
FRONT_PORT = 9200
ADMIN_PORT = 9900
SERVICE_PORTS = (9101, 9102, 9103)

_LOOPBACK_PORT = re.compile(r"(?<=127\.0\.0\.1:)\d+")
# Below the range that Linux hands to outgoing connections (32768..60999): none can take one first.
_FREE_PORTS = range(20_000, 32_000)
_TOKEN_LIFETIME_S = 24 * 3600


@dataclass(frozen=True)
class Plan:
    """One run: the configuration file, where its ports went, and the environment it reads."""

    config_path: Path
    ports: dict[int, int]
    environment: dict[str, str]

    @classmethod
    def make(cls, directory: Path, *, free_ports: bool) -> "Plan":
        """Choose ports and make new secrets; a changed configuration is written to `directory`."""
        text = CONFIG_PATH.read_text()
        written = {int(port) for port in _LOOPBACK_PORT.findall(text)}
        environment = {
            "QUICKSTART_KEY": secrets.token_urlsafe(18),
            "QUICKSTART_JWT_SECRET": secrets.token_urlsafe(32),
            "TRUNKLINE_ADMIN_TOKEN": secrets.token_urlsafe(18),
        }
        if not free_ports:
            return cls(CONFIG_PATH, {port: port for port in written}, environment)
        ports = dict(zip(sorted(written), _find_free_ports(len(written)), strict=True))
        copy = directory / CONFIG_PATH.name
        copy.write_text(_LOOPBACK_PORT.sub(lambda found: str(ports[int(found[0])]), text))
        return cls(copy, ports, environment)

    def taken_ports(self) -> list[int]:
        """Ports of this run that somebody listens on already."""
        return [port for port in sorted(self.ports.values()) if not _is_free(port)]

    def address(self, port: int) -> str:
        """Where what trunkline.toml has at `port` listens in this run: `127.0.0.1:9200`."""
        return f"127.0.0.1:{self.ports[port]}"

    @property
    def front_url(self) -> str:
        """The load balancer, the way in."""
        return f"http://{self.address(FRONT_PORT)}"

    @property
    def admin_url(self) -> str:
        """The admin API."""
        return f"http://{self.address(ADMIN_PORT)}"

    @property
    def api_key(self) -> str:
        """Alice's API key."""
        return self.environment["QUICKSTART_KEY"]

    @property
    def admin_token(self) -> str:
        """The admin API's bearer token."""
        return self.environment["TRUNKLINE_ADMIN_TOKEN"]

    def bearer_token(self) -> str:
        """A JSON Web Token (RFC 7519, HS256) for Alice, valid for a day."""
        claims = {"sub": "alice", "exp": int(time.time()) + _TOKEN_LIFETIME_S}
        signed = f"{_base64url_json({'alg': 'HS256', 'typ': 'JWT'})}.{_base64url_json(claims)}"
        secret = self.environment["QUICKSTART_JWT_SECRET"].encode()
        return f"{signed}.{_base64url(hmac.digest(secret, signed.encode(), 'sha256'))}"


def _base64url_json(value: object) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _find_free_ports(count: int) -> list[int]:
    candidates = random.sample(_FREE_PORTS, 100 * count)
    free = (port for port in candidates if _is_free(port))
    return [next(free) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Connections of an earlier run in TIME_WAIT are no reason against a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
