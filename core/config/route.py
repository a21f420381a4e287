"""Routes: what the L7 roles have in common.

A role's route adds to `Exchange` what it does with a request on its way.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from trunkline.core.config.http import Match, Methods, Status
from trunkline.core.config.models import Model, in_plan
from trunkline.core.config.problems import listing
from trunkline.core.config.traffic import RouteTraffic
from trunkline.core.config.values import Duration, Size

# What `buffer_request = true` means.
_USUAL_BUFFER = "64KB"
# What a request that no server gets has no use for.
_NEED_A_POOL = {"mirror", "hedge", "concurrency", "buffer_request", "grpc_web"}


def _buffer(value: Any) -> Any:
    return _USUAL_BUFFER if value is True else value


BufferSize = Annotated[Size, BeforeValidator(_buffer, json_schema_input_type=str | Literal[True])]


class RouteTimeouts(Model):
    """What a server may take; `"0s"` switches one off."""

    response_head: Duration | None = in_plan("response_head_ms")
    """From the request sent to the response head, for each try; default 60s."""
    body_idle: Duration | None = in_plan("body_idle_ms")
    """Between two reads of the response body; default 60s."""
    total: Duration | None = in_plan("total_ms")
    """The whole exchange with its retries; default 0s: no limit."""


class Retry(Model):
    """Another try at another server."""

    attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    """Tries in all; 1 = no retry; default 3."""
    on: list[Literal["connect", "reset", "timeout", "status"]] | None = None
    """Which failures; default connect and reset."""
    statuses: list[Status] | None = None
    """Statuses that count as a failure when `on` has status."""
    methods: Methods | None = None
    """Methods that are safe to repeat once bytes were sent; default the idempotent ones."""
    backoff: Duration | None = in_plan("backoff_ms")
    """First pause, doubled for each try; default 0s."""
    backoff_max: Duration | None = in_plan("backoff_max_ms")
    """Default 1s."""

    @model_validator(mode="after")
    def _statuses_with_their_cause(self) -> "Retry":
        if ("status" in (self.on or [])) != bool(self.statuses):
            raise ValueError('on = ["status"] and statuses go together; give both or none')
        return self


class Exchange(Match, RouteTraffic):
    """What every route has: which requests, which pool, how patiently."""

    pool: str | None = None
    """Name of a pool of the same role; needed unless there is a `split` or the route answers
    itself."""
    timeouts: RouteTimeouts | None = None
    retry: Retry | None = None
    buffer_request: BufferSize | None = in_plan("buffer_request_bytes")
    """Take the whole body in before a server is chosen, up to so many bytes; `true` is 64KB;
    default 0B: pass it on as it comes."""
    grpc_web: bool | None = None
    """Translate gRPC-Web of browsers into gRPC; default false."""

    @property
    def answers_itself(self) -> bool:
        """Whether it may do without a pool."""
        return False

    @property
    def pools(self) -> list[str]:
        """The pools whose servers may get the request; a mirror's is not one of them."""
        return [share.pool for share in self.split or []] + ([self.pool] if self.pool else [])

    @model_validator(mode="after")
    def _leads_somewhere(self) -> "Exchange":
        if self.pool is not None and self.split is not None:
            raise ValueError('has "pool" and "split"; move the pool into the split')
        if not self.pools and not self.answers_itself:
            raise ValueError('leads nowhere; give it a "pool" or a "split"')
        idle = self.model_fields_set & _NEED_A_POOL
        if not self.pools and idle:
            raise ValueError(f"{listing(idle)}: without a pool there is nothing to send")
        return self

    @model_validator(mode="after")
    def _mirrors_elsewhere(self) -> "Exchange":
        if self.mirror is not None and self.mirror.pool in self.pools:
            raise ValueError("mirror: its pool would get each request twice")
        return self

    @model_validator(mode="after")
    def _hedges_in_time(self) -> "Exchange":
        patience = self.timeouts or RouteTimeouts()
        ends = {"total": patience.total, "response_head": patience.response_head}
        for key, end in ends.items():
            if self.hedge is not None and end and end <= self.hedge.after:
                raise ValueError(f"hedge.after must be less than timeouts.{key}")
        return self
