"""The base of all models, and the tables that belong to no role.

A model's fields are what people write. Fields that go into the plan carry the plan's name as their
serialization alias, and only those that were written are dumped: the defaults of the data plane
stand in the native plan (`native/crates/engine/src/plan.rs`) and nowhere else, so such a field is
optional here and its description names the default.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from trunkline.core.config import patterns
from trunkline.core.config.values import AnyPortAddress, Duration

Count = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[int, Field(ge=1, lt=2**32)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=patterns.NAME)]
# Characters of an admin token: 48 bits and more if it was drawn at random.
SHORTEST_TOKEN = 8
UrlPath = Annotated[str, Field(pattern=patterns.URL_PATH)]


class Model(BaseModel):
    """Exact types, no unknown keys, no change after the check."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )

    def to_plan(self) -> dict[str, Any]:
        """The fields that were written, under the plan's names."""
        return self.model_dump(by_alias=True, exclude_unset=True)


def in_plan(name: str, **options: Any) -> Any:
    """An optional field that the plan knows as `name`."""
    return Field(default=None, serialization_alias=name, **options)


class Runtime(Model):
    """The process."""

    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Worker threads of the data plane; default: the CPUs this process may use."""
    grace: Duration = 30_000
    """How long requests in flight may take when the process stops; default 30s."""
    ready_file: str | None = None
    """A file that exists while the process is ready for traffic."""


class Admin(Model):
    """The admin API."""

    enabled: bool = True
    """Whether it runs; default true."""
    listen: AnyPortAddress | None = None
    """Default 127.0.0.1:9901, or a free port if another process has that one."""
    token: Annotated[SecretStr, Field(min_length=SHORTEST_TOKEN)] | None = None
    """What a client must show as `Authorization: Bearer …`, at least 8 characters;
    default: a new one at each start."""
    token_file: str | None = None
    """A file whose first line is the token, at least 8 characters, relative to the
    configuration's folder."""

    @model_validator(mode="after")
    def _one_token(self) -> "Admin":
        if self.token and self.token_file:
            raise ValueError('has "token" and "token_file"; keep one')
        return self


class Logging(Model):
    """The messages of the control plane, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is written; default info."""
    format: Literal["auto", "text", "json"] = "auto"
    """Default auto: text on a terminal, else JSON."""


class AccessLog(Model):
    """One JSON line for each request, written by the data plane."""

    path: str
    """A file, relative to the configuration's folder, or `-` for standard output."""
    sample: Positive | None = None
    """Log one request in so many; default 1."""
    always_errors: bool | None = None
    """Log every refused or failed request whatever `sample` says; default true."""


class CoreConfig(Model):
    """What stands beside the roles."""

    runtime: Runtime = Runtime()
    admin: Admin = Admin()
    logging: Logging = Logging()
    access_log: AccessLog | None = None
