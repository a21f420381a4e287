"""The `[lb]` table: listeners with routes, and pools."""

from pydantic import Field, model_validator

from trunkline.core.config.http import Exchange, HttpListener, Rewrite
from trunkline.core.config.models import Model, Name
from trunkline.core.config.pool import Pool


class Route(Exchange):
    """Which requests go to which pool."""

    name: Name | None = None
    """Names the route in logs and metrics; default: its number, from 0."""
    rewrite: Rewrite | None = None


class Listener(HttpListener):
    """Where clients connect, and where their requests go."""

    pool: str | None = None
    """Every request that no route takes goes here."""
    routes: list[Route] = Field(default_factory=list)

    @model_validator(mode="after")
    def _leads_somewhere(self) -> "Listener":
        if self.pool is None and not self.routes:
            raise ValueError('leads nowhere; give it a "pool" or "routes"')
        return self


class LbConfig(Model):
    """The load balancer."""

    http: dict[Name, Listener] = Field(default_factory=dict)
    pools: dict[Name, Pool] = Field(default_factory=dict)
