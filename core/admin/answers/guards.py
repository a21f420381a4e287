"""Rate limits, circuit breakers, certificates."""

from typing import Literal

from trunkline.core.admin.answers.base import Answer


class Limiter(Answer):
    """A rate limit."""

    name: str
    """Of the filter."""
    key: str
    """Who is counted apart: `ip`, `consumer`, …"""
    algorithm: str
    """How it counts."""
    limit: int
    """Requests in a period."""
    period_ms: int
    """The period."""
    keys: int
    """Keys that are being counted."""
    capacity: int
    """At most so many."""
    evicted: int
    """Keys that were forgotten early for want of room."""
    overflowed: int
    """Requests that were counted together with others for want of room."""


class Breaker(Answer):
    """A circuit breaker."""

    name: str
    """Of the filter."""
    state: Literal["closed", "open", "half_open"]
    """Whether calls pass."""
    calls: int
    """In its window."""
    failures: int
    """In its window."""


class Certificate(Answer):
    """A certificate of an issuer (ACME)."""

    names: list[str]
    """Host names."""
    issuer: str
    """As it is called in the configuration."""
    file: str
    """Where it is kept."""
    state: Literal["issued", "stand_in"]
    """`stand_in`: self-signed, until the issuer's has come."""
    not_before: float | None
    """Valid from."""
    not_after: float | None
    """Valid until."""
    next_attempt: float | None
    """When it is next ordered; null if that is under way, or waits for another order."""
    failures: int
    """Orders that failed in a row."""
    last_error: str | None
    """Why the last one did."""
