"""The tables that belong to no role: the process, its admin API and logs, issuers."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from trunkline.core.config.acme import AcmeIssuer
from trunkline.core.config.models import Model, Name, Positive
from trunkline.core.config.values import AnyPortAddress, Duration

# Characters of an admin token: 48 bits and more if it was drawn at random.
SHORTEST_TOKEN = 8


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
    """Default 127.0.0.1:9901, or a free port if a listener or another process has that one."""
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
    acme: dict[Name, AcmeIssuer] = Field(default_factory=dict)
    """Who issues certificates that listeners ask for."""
