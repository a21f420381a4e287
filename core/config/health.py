"""Active health checks of a pool's servers."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trunkline.core.config import patterns
from trunkline.core.config.http import HeaderValue
from trunkline.core.config.models import Model, Positive, in_plan
from trunkline.core.config.values import Duration, StatusRange

# Which kinds know a key that not every one does.
_KINDS_OF_KEYS = {
    "path": ("http",),
    "host": ("http", "grpc"),
    "statuses": ("http",),
    "body_contains": ("http",),
    "service": ("grpc",),
}


class Health(Model):
    """Active checks."""

    kind: Literal["tcp", "http", "grpc"]
    """`tcp` connects; `http` asks for `path`; `grpc` calls `grpc.health.v1.Health/Check`."""
    path: Annotated[str, Field(pattern=patterns.URL_TARGET)] | None = None
    """Path and query; default `/`."""
    host: HeaderValue | None = None
    """The Host header; default: the server's name and port, or its address."""
    statuses: list[StatusRange] | None = None
    """Good statuses, e.g. `[200, "300-399"]`; default 200 to 399."""
    body_contains: str | None = None
    """Text that the first 64 KB of the body must hold."""
    service: str | None = None
    """For grpc: the service to ask for; default: the server as a whole."""
    interval: Duration | None = in_plan("interval_ms")
    """Default 2s."""
    timeout: Duration | None = in_plan("timeout_ms")
    """Default 1s."""
    rise: Positive | None = None
    """Good checks in a row until a server is up; default 2."""
    fall: Positive | None = None
    """Bad checks in a row until it is down; default 3."""

    @model_validator(mode="after")
    def _only_what_its_kind_knows(self) -> "Health":
        for key, kinds in _KINDS_OF_KEYS.items():
            if key in self.model_fields_set and self.kind not in kinds:
                raise ValueError(f'"{key}": only kind = {_either(kinds)} knows that')
        return self


def _either(kinds: tuple[str, ...]) -> str:
    return " or ".join(f'"{kind}"' for kind in kinds)
