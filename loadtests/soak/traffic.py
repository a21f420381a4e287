"""What every user of the soak has: the loop around one exchange, and the books.

A user does one thing again and again with a pause between, until the run is over. An exchange that
raises, or takes too long, failed; whether somebody made it fail is the ledger's to say.
"""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from loadtests.soak.ledger import Disturbance, Ledger
from testkit.certificates import Authority

# Longer than any exchange takes, the grace period included: beyond it something hangs.
EXCHANGE_TIMEOUT_S = 20.0


class WrongAnswerError(Exception):
    """An answer that is not what the server sends."""


@dataclass(frozen=True)
class Front:
    """Where users go.

    Attributes:
        port: Without TLS, on 127.0.0.1.
        tls_port: With TLS.
        authority: Who vouches for the TLS listener; None if there is none.
        ledger: Where everything is counted.
        over: Set when users shall stop.
    """

    port: int
    tls_port: int
    authority: Authority | None
    ledger: Ledger
    over: asyncio.Event


@dataclass(frozen=True)
class Kind:
    """One kind of traffic.

    Attributes:
        name: For the summary.
        run: One user until the run is over.
        users: How many at once.
        tls: Over the TLS listener.
        mortal: To the servers that are killed.
    """

    name: str
    run: "Callable[[Front, Kind], Awaitable[None]]"
    users: int
    tls: bool = False
    mortal: bool = False

    @property
    def exposed_to(self) -> Disturbance | None:
        """What may make its exchanges fail."""
        return Disturbance.DEATH if self.mortal else None

    def port(self, front: Front) -> int:
        """Its listener's."""
        return front.tls_port if self.tls else front.port

    def context(self, front: Front, alpn: Sequence[str] = ()) -> ssl.SSLContext | None:
        """For its listener."""
        if front.authority is None or not self.tls:
            return None
        return front.authority.client_context(alpn=alpn)

    def path(self, path: str) -> str:
        """The path that leads to its servers."""
        return f"/mortal{path}" if self.mortal else path


async def repeat(
    front: Front, kind: Kind, exchange: Callable[[], Awaitable[None]], pause_s: float
) -> None:
    """Do it until the run is over."""
    while not front.over.is_set():
        await attempt(front, kind, exchange)
        await pause(front, pause_s)


async def attempt(
    front: Front,
    kind: Kind,
    exchange: Callable[[], Awaitable[None]],
    exposed_to: Disturbance | None = None,
) -> bool:
    """Do it once, and count. Whether it went well.

    Args:
        front: Where.
        kind: As what it counts.
        exchange: Returns when all is right.
        exposed_to: What may make it fail besides what its kind is exposed to.
    """
    start_s = time.monotonic()
    try:
        async with asyncio.timeout(EXCHANGE_TIMEOUT_S):
            await exchange()
    except Exception as error:  # Whatever a client raises is a failed exchange.
        why = f"{type(error).__name__}: {error}"
        exposed_to = exposed_to or kind.exposed_to
        front.ledger.failed(kind.name, exposed_to, start_s, time.monotonic(), why)
        return False
    front.ledger.done(kind.name)
    return True


async def pause(front: Front, seconds: float) -> None:
    """Return after so long, or at once when the run is over."""
    try:
        await asyncio.wait_for(front.over.wait(), seconds)
    except TimeoutError:
        return


def expect(right: bool, what: str) -> None:
    """Raise `WrongAnswerError` unless ``right``."""
    if not right:
        raise WrongAnswerError(what)
