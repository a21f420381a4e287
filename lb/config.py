"""The `[lb]` table: listeners with routes, and pools."""

from typing import Annotated

from pydantic import Field, model_validator

from trunkline.core.config.answers import HttpsRedirect, Maintenance, Redirect, Respond
from trunkline.core.config.http import HeaderEdits, Rewrite
from trunkline.core.config.listener import HttpListener
from trunkline.core.config.models import Model, Name
from trunkline.core.config.pool import Pool
from trunkline.core.config.route import Exchange
from trunkline.core.config.values import Short


class Route(Exchange):
    """Which requests go to which pool, or are answered here."""

    name: Name | None = None
    """Names the route in logs and metrics; default: its number, from 0."""
    rewrite: Rewrite | None = None
    response_headers: HeaderEdits | None = None
    """Edits of the response's lines; values may hold `{parameters}`."""
    maintenance: Annotated[Maintenance, Short] | None = None
    https_redirect: Annotated[HttpsRedirect, Short] | None = None
    redirect: Redirect | None = None
    respond: Respond | None = None
    """After the others: requests that they let pass get this."""

    @property
    def answers_itself(self) -> bool:
        """Whether it redirects or answers."""
        return any((self.maintenance, self.https_redirect, self.redirect, self.respond))

    @model_validator(mode="after")
    def _one_redirect(self) -> "Route":
        if self.redirect is not None and self.https_redirect is not None:
            raise ValueError("has redirect and https_redirect; keep one")
        if self.redirect is not None and self.redirect.model_fields_set <= {"status"}:
            raise ValueError("redirect leads nowhere else; give it scheme, host, port or path")
        return self


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

    @model_validator(mode="after")
    def _redirects_what_is_plain(self) -> "Listener":
        for number, route in enumerate(self.routes):
            if self.tls is not None and route.https_redirect is not None:
                raise ValueError(f"routes[{number}]: https_redirect does nothing with tls")
        return self


class LbConfig(Model):
    """The load balancer."""

    http: dict[Name, Listener] = Field(default_factory=dict)
    pools: dict[Name, Pool] = Field(default_factory=dict)
