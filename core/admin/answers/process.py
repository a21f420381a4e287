"""The process, and everything in one."""

from trunkline.core.admin.answers.base import Answer
from trunkline.core.admin.answers.guards import Breaker, Certificate, Limiter
from trunkline.core.admin.answers.servers import Discovered, Pool
from trunkline.core.admin.answers.traffic import Listener, RecentError, Route


class Problem(Answer):
    """Something wrong with the configuration."""

    file: str
    """Where it is written."""
    line: int
    """There; 0 if no line can be named."""
    key: str
    """As in `lb.http.front.routes[1].pool`."""
    message: str
    """What is wrong, and what would be valid."""


class LastReload(Answer):
    """What came of the last reload."""

    at: float
    """When it ended."""
    ok: bool
    """Whether it was taken."""
    errors: list[Problem] | None = None
    """If it was refused: why."""
    generation: int | None = None
    """If it was taken, as in the answer of `/reload`; so are the fields below."""
    build_us: int | None = None
    """Microseconds of compiling."""
    swap_us: int | None = None
    """Microseconds of exchanging."""
    needs_restart: list[str] | None = None
    """Tables that wait for the next start, or an upgrade."""


class Process(Answer):
    """The process."""

    pid: int
    """Its id."""
    version: str
    """Of trunkline."""
    uptime_s: float
    """Since its start."""
    config: str
    """Its configuration file."""
    ready: bool
    """Whether new connections are welcome."""
    draining: bool
    """Whether it is about to end."""
    last_reload: LastReload | None
    """null if there was none."""


class Nameserver(Answer):
    """Zones that are answered for."""

    addresses: list[str]
    """Where, for UDP and TCP."""
    zones: int
    """How many."""
    records: int
    """In all of them."""
    memory_bytes: int
    """That they take up."""
    open_connections: int
    """TCP connections of clients."""


class Status(Answer):
    """Everything."""

    process: Process
    """The process."""
    generation: int
    """Number of the configuration in force."""
    started_unix_ns: int
    """When the data plane started: counters begin there."""
    workers: int
    """Worker threads."""
    open_connections: int
    """Client connections that are open, of all listeners."""
    draining: bool
    """Whether the data plane accepts nothing more."""
    listeners: list[Listener]
    """Entrances."""
    routes: list[Route]
    """Of all listeners."""
    pools: list[Pool]
    """With their servers."""
    limiters: list[Limiter]
    """Rate limits."""
    breakers: list[Breaker]
    """Circuit breakers."""
    dns: Nameserver | None
    """null if there is none."""
    recent_errors: list[RecentError]
    """The last 32 of each reason, newest first."""
    discovery: list[Discovered]
    """Where servers are found."""
    certificates: list[Certificate]
    """Those of issuers."""


class Reloaded(Answer):
    """What a reload did."""

    generation: int
    """Number of the configuration in force."""
    build_us: int
    """Microseconds of compiling it, beside the data plane."""
    swap_us: int
    """Microseconds of exchanging it."""
    needs_restart: list[str]
    """Tables whose change waits for the next start, or an upgrade."""


class Upgraded(Answer):
    """Which process serves now."""

    pid: int
    """The new one."""
    previous_pid: int
    """The old one: it finishes what it has begun, and ends."""
