"""Where requests come in, where they go, and which failed."""

from typing import Literal

from trunkline.core.admin.answers.base import Answer, Concurrency, Latency


class Listener(Answer):
    """An entrance."""

    name: str
    """`lb.http.NAME` or `gateway.http.NAME`."""
    addresses: list[str]
    """Where it listens, names resolved."""
    open_connections: int
    """Client connections that are open now."""
    open_by_worker: list[int]
    """The same for each worker thread."""
    connections_limit: int
    """`limits.connections`: beyond it newcomers wait."""
    accepted: int
    """Client connections accepted."""
    requests: int
    """Requests read, whatever became of them."""
    failures: dict[str, int]
    """Refused and failed requests by reason (docs/concepts/failures.md)."""


class Side(Answer):
    """A share of a divided route."""

    pool: str
    """Where it leads."""
    weight: int
    """Its share, beside the others' weights."""
    requests: int
    """What it has got."""


class BodyBytes(Answer):
    """Bytes of bodies."""

    request: int
    """From clients."""
    response: int
    """To clients."""


class Route(Answer):
    """A route of a listener."""

    name: str
    """`lb.LISTENER.ROUTE` or `gateway.API`."""
    listener: str
    """Whose it is."""
    pool: str | None
    """Where it leads; null if it is divided, or answers by itself."""
    requests: int
    """Requests that came to an end."""
    errors_5xx: int
    """Of them, those answered with 5xx."""
    p50_ms: float | None
    """As in `latency`."""
    p99_ms: float | None
    """As in `latency`."""
    latency: Latency
    """First byte of the request to last byte of the response."""
    responses: dict[str, int]
    """By class: `1xx` to `5xx`, and `none` for those that ended without one."""
    body_bytes: BodyBytes
    """Bytes of bodies."""
    split: list[Side] | None = None
    """If it is divided over pools: the sides."""
    concurrency: Concurrency | None = None
    """If it has a limit of its own."""


class RecentError(Answer):
    """A request that was refused or failed."""

    id: int
    """Counts up by one; for `after`."""
    time_unix_ns: int
    """When it ended."""
    listener: str
    """Where it came in."""
    route: str
    """Its route, empty if it found none."""
    server: str
    """The server last tried, empty if none was."""
    status: int
    """What the client was told; 0 if there was nobody left to tell, or no way."""
    reason: str
    """Why (docs/concepts/failures.md)."""
    side: Literal["client", "upstream", "gateway"]
    """Whose fault it was."""
