"""The `[gateway]` table: listeners, pools, consumers, and APIs with their filters."""

from typing import Annotated

from pydantic import Field, SecretStr

from trunkline.core.config.http import Rewrite
from trunkline.core.config.listener import HttpListener
from trunkline.core.config.models import Model, Name
from trunkline.core.config.pool import Pool
from trunkline.core.config.route import Exchange
from trunkline.core.config.values import SomeStrings
from trunkline.gateway.filters import ANSWERS, Filter


class Consumer(Model):
    """Who may call."""

    keys: list[Annotated[SecretStr, Field(min_length=1)]] = Field(default_factory=list)
    """API keys; each belongs to one consumer."""


class Api(Exchange):
    """A front end (which requests), filters, and a back end (what is called)."""

    listeners: SomeStrings | None = None
    """Names of the listeners that offer it; default: all."""
    backend: Rewrite | None = None
    """How the call differs from the request; default: not at all."""
    filters: list[Filter] = Field(default_factory=list)
    """After the gateway's own, in this order."""

    @property
    def answers_itself(self) -> bool:
        """Whether a filter redirects or answers."""
        return any(isinstance(step, ANSWERS) for step in self.filters)


class GatewayConfig(Model):
    """The API gateway."""

    http: dict[Name, HttpListener] = Field(default_factory=dict)
    pools: dict[Name, Pool] = Field(default_factory=dict)
    consumers: dict[Name, Consumer] = Field(default_factory=dict)
    filters: list[Filter] = Field(default_factory=list)
    """Before the filters of every API."""
    apis: dict[Name, Api] = Field(default_factory=dict)
