"""Pools, their servers, and where those are found."""

from typing import Literal

from trunkline.core.admin.answers.base import Answer, Concurrency, Latency


class Ejection(Answer):
    """Why a server is left out, though its checks may pass."""

    reason: str
    """The rule: `consecutive_failures`, `failure_ratio` or `success_rate`."""
    left_ms: int
    """For how much longer."""


class Tries(Answer):
    """What became of attempts to use a server."""

    connects: int
    """Connections opened."""
    connect_failures: int
    """Connections that could not be opened."""
    reuses: int
    """Requests sent on a connection that was there already."""
    failures: int
    """Tries that did not end with a whole response."""
    retries: int
    """Tries that were followed by another one."""
    ejections: int
    """Times it was left out for failed requests."""


class Server(Answer):
    """A server of a pool."""

    name: str
    """By default its address."""
    address: str
    """Where it is."""
    state: Literal[
        "eligible",
        "warming",
        "standby",
        "panic",
        "unhealthy",
        "ejected",
        "draining",
        "weight_zero",
        "full",
    ]
    """Whether it gets requests, and if not, why: the first that applies."""
    healthy: bool
    """Whether its health checks pass, or there are none."""
    check: str
    """What the last health check found."""
    ejection: Ejection | None
    """If it is left out for failed requests."""
    enabled: bool
    """The operator's word: false keeps new requests away."""
    draining: bool
    """The operator's word: true keeps new requests away."""
    weight: int
    """Its share, beside the others' weights."""
    priority: int
    """Servers of the lowest number serve, as long as there are any."""
    active: int
    """Requests in flight."""
    ewma_ms: float | None
    """Moving average of its latency."""
    idle_connections: int
    """Kept for the next requests."""
    requests: int
    """Whole responses."""
    failures: int
    """As in `tries`."""
    latency: Latency
    """From choosing it to the head of its response."""
    responses: dict[str, int]
    """Whole responses by class, `1xx` to `5xx`."""
    tries: Tries
    """What became of attempts to use it."""


class Pool(Answer):
    """Servers that are equal."""

    name: str
    """`lb.NAME` or `gateway.NAME`."""
    algorithm: str
    """How a server is chosen."""
    waiting: int
    """Requests that wait for a server with room."""
    servers: list[Server]
    """In the order of the configuration, those that were found behind."""
    concurrency: Concurrency | None = None
    """If the pool has a limit of its own."""


class Discovered(Answer):
    """Where a pool's servers come from, and what it said last."""

    pool: str
    """Whose servers."""
    source: str
    """Who is asked."""
    ok: bool
    """Whether it has answered, and its last answer was good."""
    error: str | None
    """Why not."""
    found_at: float | None
    """When it last answered well."""
    servers: list[str]
    """What is in use."""
