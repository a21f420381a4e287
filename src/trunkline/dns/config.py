"""The `[dns]` table: addresses, and zones by name."""

from typing import Annotated

from pydantic import Field

from trunkline.core.config.models import Model, Positive, in_plan
from trunkline.core.config.values import Duration, SocketAddress, one_or_more

# Without a dot at its end or with it; the native side says what is no name (RFC 1035 §2.3.1).
ZoneName = Annotated[str, Field(min_length=1, max_length=1_004)]


class Zone(Model):
    """One zone."""

    file: Annotated[str, Field(min_length=1)]
    """Its master file (RFC 1035 §5), relative to the configuration's folder."""


class DnsConfig(Model):
    """The nameserver."""

    listen: Annotated[list[SocketAddress], one_or_more(SocketAddress), Field(min_length=1)]
    """One or more `host:port`, each for UDP and TCP."""
    zones: dict[ZoneName, Zone] = Field(default_factory=dict)
    """By their names, e.g. `[dns.zones."example.org"]`."""
    identity: Annotated[str, Field(max_length=255)] | None = in_plan("identity")
    """What `id.server` and NSID tell (RFC 4892, RFC 5001); default: nothing."""
    version: Annotated[str, Field(max_length=255)] | None = in_plan("version")
    """What `version.server` tells; default: nothing."""
    tcp_connections: Positive = 1_000
    """TCP connections at the same time, of all addresses; default 1000."""
    tcp_idle: Annotated[Duration, Field(gt=0)] = 10_000
    """How long such a connection may be silent (RFC 7766 §6.2.3); default 10s."""
