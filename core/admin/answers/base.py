"""What the answers have in common."""

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Nothing comes that is not described here."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Latency(Answer):
    """Durations. Two moments' `total_ms` and `count` tell the mean between them."""

    count: int
    """How many were measured."""
    total_ms: float
    """Their sum."""
    p50_ms: float | None
    """Half of them were not longer; within 6 %, like the two below. null without any."""
    p90_ms: float | None
    """Nine of ten were not longer."""
    p99_ms: float | None
    """99 of 100 were not longer."""


class Concurrency(Answer):
    """A limit of what is under way at once."""

    limit: int
    """At most so many at once, as of now."""
    active: int
    """Under way."""
    waiting: int
    """In the queue."""
    refused: int
    """Turned away because limit and queue were full."""
    latency_ms: float | None
    """What an adaptive limit measured last."""
    usual_ms: float | None
    """What an adaptive limit compares it with."""
