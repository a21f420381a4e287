"""Pools: the servers behind a route, and how one of them is chosen. Shared by the L7 roles.

Fields without a description of their own mean what the field of the same name means in the plan.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from trunkline.core.config import patterns
from trunkline.core.config.discover import Discover
from trunkline.core.config.health import Health
from trunkline.core.config.models import Count, Model, Name, Positive, Ratio, in_plan
from trunkline.core.config.tls import UpstreamTls
from trunkline.core.config.traffic import PoolTraffic
from trunkline.core.config.values import Duration, Short, SocketAddress

Algorithm = Literal[
    "round_robin",
    "weighted_round_robin",
    "least_connections",
    "weighted_least_connections",
    "hash",
    "consistent_hash",
    "power_of_two",
    "peak_ewma",
]
Ring = Literal["ketama", "maglev", "jump", "rendezvous", "bounded_load"]
HashKey = Annotated[str, Field(pattern=patterns.HASH_KEY)]
HostName = Annotated[str, StringConstraints(to_lower=True, pattern=patterns.HOST_NAME)]


class Server(Model):
    """One server; a plain string means `{ address = … }`."""

    address: SocketAddress
    """`host:port`; a name is resolved when the configuration is loaded."""
    name: Name | None = None
    """What metrics and the admin API call it; default: the address as written."""
    host: HostName | None = None
    """Who it is by TLS: the name to ask for and to find in its certificate; default: the name in
    the address."""
    weight: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """Its share beside the others; 0 = no new requests; default 1."""
    priority: Annotated[int, Field(ge=0, le=255)] | None = None
    """0 is used first, higher numbers when all lower ones are down; default 0."""
    backup: bool | None = Field(default=None, exclude=True)
    """The same as `priority = 1`."""
    max_connections: Count | None = None
    """Open requests at once, over all workers; 0 = no limit; default 0."""
    draining: bool | None = None
    """No new requests, open ones end in peace; default false."""


def _server(value: Any) -> Any:
    return {"address": value} if isinstance(value, str) else value


AnyServer = Annotated[Server, BeforeValidator(_server, json_schema_input_type=str | Server)]


class KeepAlive(Model):
    """Connections to servers that wait for the next request."""

    idle: Count | None = None
    """Kept per server and worker; 0 = none; default 256."""
    idle_timeout: Duration | None = in_plan("idle_timeout_ms")
    """Default 60s."""
    requests: Count | None = None
    """Requests on one connection; 0 = no limit; default 0."""


class Queue(Model):
    """Requests that wait because every server is at `max_connections`."""

    length: Count | None = None
    """Default 1024."""
    timeout: Duration | None = in_plan("timeout_ms")
    """Default 5s."""


class Outlier(Model):
    """Passive checks: a server that keeps failing real requests is left out for a while."""

    consecutive_failures: Positive | None = None
    """Default 5."""
    base_ejection: Duration | None = in_plan("base_ejection_ms")
    """The first time out; grows with each further one; default 10s."""
    max_ejection: Duration | None = in_plan("max_ejection_ms")
    """Default 5m."""
    max_ejected: Ratio | None = None
    """Share of the pool that may be out at once; default 0.5."""


class RetryBudget(Model):
    """How many retries a pool may get beside its requests."""

    ratio: Annotated[float, Field(ge=0)] | None = None
    """Retries per request; default 0.2."""
    min_per_second: Count | None = None
    """Default 10."""


class Pool(PoolTraffic):
    """A named set of servers."""

    servers: Annotated[list[AnyServer], Field(min_length=1)] | None = None
    """`"host:port"` or a table; may be left out beside `discover`."""
    discover: Discover | None = Field(default=None, exclude=True)
    """Where more servers are found while the process runs."""
    algorithm: Algorithm | None = None
    """Default round_robin."""
    ring: Ring | None = None
    """For `algorithm = "consistent_hash"`; default ketama."""
    hash_key: HashKey | None = None
    """For hashing: ip, path, uri, header:NAME, query:NAME, cookie:NAME; default ip."""
    protocol: Literal["http/1.1", "h2"] | None = None
    """What the servers speak; default http/1.1."""
    tls: Annotated[UpstreamTls, Short] | None = None
    """TLS to the servers, `true` or a table; default: none."""
    proxy_protocol: Literal["v1", "v2"] | None = None
    """Tell servers who the client is by a PROXY header; default: no header."""
    connect_timeout: Duration | None = in_plan("connect_timeout_ms")
    """Default 1s."""
    keep_alive: KeepAlive | None = None
    queue: Queue | None = None
    slow_start: Duration | None = in_plan("slow_start_ms")
    """Time in which a server that came up grows to its full share; default 0s: at once."""
    panic_threshold: Ratio | None = None
    """Below this share of healthy servers health is ignored; default 0: never."""
    health: Health | None = None
    outlier: Outlier | None = None
    retry_budget: RetryBudget | None = None

    @model_validator(mode="after")
    def _has_servers(self) -> "Pool":
        if self.servers is None and self.discover is None:
            raise ValueError('has no servers; give it "servers" or "discover"')
        return self

    @model_validator(mode="after")
    def _hashing_only_where_it_counts(self) -> "Pool":
        if self.ring is not None and self.algorithm != "consistent_hash":
            raise ValueError('ring does nothing without algorithm = "consistent_hash"')
        if self.hash_key is not None and self.algorithm not in ("hash", "consistent_hash"):
            raise ValueError(
                'hash_key does nothing without algorithm = "consistent_hash" or "hash"'
            )
        return self

    @model_validator(mode="after")
    def _one_client_on_a_connection(self) -> "Pool":
        if self.proxy_protocol is not None and self.protocol == "h2":
            raise ValueError(
                'proxy_protocol does not go with protocol = "h2": its connections are shared by '
                "many clients"
            )
        if self.proxy_protocol is not None and self.keep_alive is not None:
            raise ValueError(
                "keep_alive does nothing with proxy_protocol: its connections serve one request"
            )
        return self

    @model_validator(mode="after")
    def _health_that_servers_can_tell(self) -> "Pool":
        if self.health is not None and self.health.kind == "grpc" and self.protocol != "h2":
            raise ValueError('health.kind = "grpc" needs protocol = "h2"')
        return self

    @property
    def has_retry_budget(self) -> bool:
        """Whether any retry is allowed beside its requests."""
        budget = self.retry_budget
        return budget is None or budget.ratio != 0 or budget.min_per_second != 0
