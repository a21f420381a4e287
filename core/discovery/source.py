"""What everything that knows servers has in common."""

from dataclasses import dataclass
from typing import Protocol

from trunkline.core.config.pool import Server


class DiscoveryError(Exception):
    """A source gave no answer that could be used; the message says why."""


@dataclass(frozen=True)
class Found:
    """One answer.

    Attributes:
        servers: All there are now, their addresses IP addresses.
        valid_s: Ask again after so long.
    """

    servers: tuple[Server, ...]
    valid_s: float


class Source(Protocol):
    """Knows which servers a pool has.

    A source that is told of changes (a registry) waits in `find` for the next one and says
    `valid_s = 0`; the first call answers at once.
    """

    async def find(self) -> Found:
        """The servers.

        Raises:
            DiscoveryError: There is no answer now; the last one stays in force.
        """
        ...
