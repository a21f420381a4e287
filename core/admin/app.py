"""The routes of the admin API. OpenAPI: `/openapi.json`; described in docs/concepts/admin.md."""

import os
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Body, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from trunkline import __version__
from trunkline.core.admin.auth import BearerAuth
from trunkline.core.config.problems import ConfigError
from trunkline.core.instance import EndingError, Instance
from trunkline.core.upgrade.upgrader import DEFAULT_TIMEOUT_S, UpgradeError

Upgrade = Callable[[float], Awaitable[int]]
"""Puts a new process in the place of this one; raises UpgradeError."""

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ServerChange(BaseModel):
    """What to change of a server; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    weight: Annotated[int, Field(ge=0, le=65_535)] | None = None
    enabled: bool | None = None
    draining: bool | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> "ServerChange":
        if self.weight is None and self.enabled is None and self.draining is None:
            raise ValueError("give at least one of weight, enabled, draining")
        return self


class ExplainRequest(BaseModel):
    """A request to think through."""

    model_config = ConfigDict(extra="forbid")

    method: str = "GET"
    url: str
    headers: list[tuple[str, str]] = Field(default_factory=list)
    client: str = "127.0.0.1"
    listener: str | None = None


class UpgradeRequest(BaseModel):
    """How to upgrade."""

    model_config = ConfigDict(extra="forbid")

    timeout_s: Annotated[float, Field(gt=0, le=3_600)] = DEFAULT_TIMEOUT_S


def make_app(instance: Instance, token: str, upgrade: Upgrade) -> FastAPI:
    """The application that serves one instance."""
    app = FastAPI(title="trunkline admin", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(BearerAuth, token=token)
    app.add_exception_handler(ConfigError, _config_error)
    app.add_exception_handler(EndingError, _ending)
    app.add_exception_handler(UpgradeError, _upgrade_error)
    _add_probes(app, instance)
    _add_views(app, instance)
    _add_actions(app, instance, upgrade)
    return app


async def _config_error(_: Request, error: Exception) -> Response:
    problems = error.problems if isinstance(error, ConfigError) else []
    return JSONResponse({"errors": [p.to_json() for p in problems]}, status_code=422)


async def _ending(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": "this process is about to end"}, status_code=409)


async def _upgrade_error(_: Request, error: Exception) -> Response:
    answer: dict[str, Any] = {"detail": str(error)}
    if not isinstance(error, UpgradeError) or not error.was_tried:
        return JSONResponse(answer, status_code=409)
    answer["errors"] = [problem.to_json() for problem in error.problems]
    return JSONResponse(answer, status_code=422)


def _add_probes(app: FastAPI, instance: Instance) -> None:
    @app.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """200 as long as the process works, draining or not."""
        return "ok\n"

    @app.get("/readyz", response_class=PlainTextResponse)
    async def readyz() -> Response:
        """200 if new connections are welcome, else 503."""
        ready = instance.is_ready
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Prometheus text format."""
        return Response(instance.metrics(), media_type=METRICS_TYPE)


def _add_views(app: FastAPI, instance: Instance) -> None:
    @app.get("/status")
    async def status() -> dict[str, Any]:
        """Everything: the process, listeners, routes, pools, limits, breakers, workers."""
        return instance.status()

    @app.get("/config")
    async def config() -> dict[str, Any]:
        """The running configuration as written: secrets hidden, `${NAME}` not filled in."""
        return instance.loaded.redacted()

    @app.get("/listeners")
    async def listeners() -> Any:
        """Addresses, open connections, requests."""
        return instance.status()["listeners"]

    @app.get("/routes")
    async def routes() -> Any:
        """All routes with their counters."""
        return instance.status()["routes"]

    @app.get("/pools")
    async def pools() -> Any:
        """All pools with their servers: health and its reason, weight, requests in flight."""
        return instance.status()["pools"]

    @app.get("/pools/{pool}/servers")
    async def servers(pool: str) -> Any:
        """The servers of one pool."""
        return _pool(instance, pool)["servers"]

    @app.get("/limits")
    async def limits() -> Any:
        """Rate limits and how full they are."""
        return instance.status()["limiters"]

    @app.get("/breakers")
    async def breakers() -> Any:
        """Circuit breakers and their state."""
        return instance.status()["breakers"]

    @app.get("/certificates")
    async def certificates() -> Any:
        """Certificates of issuers: names, state, validity, the next attempt, the last error."""
        return instance.certificates()


def _add_actions(app: FastAPI, instance: Instance, upgrade: Upgrade) -> None:
    @app.patch("/pools/{pool}/servers/{server}")
    async def change_server(pool: str, server: str, change: ServerChange) -> Any:
        """Set weight, enabled or draining; returns the server as it is now."""
        try:
            instance.set_server(pool, server, **change.model_dump())
        except LookupError as error:
            raise HTTPException(404, str(error.args[0])) from error
        servers = _pool(instance, pool)["servers"]
        return next(entry for entry in servers if entry["name"] == server)

    @app.post("/certificates/{name}/retry")
    async def retry_certificate(name: str) -> Any:
        """Order the certificates of a host name now; returns all certificates."""
        try:
            instance.retry_certificate(name)
        except LookupError as error:
            raise HTTPException(404, str(error)) from error
        return instance.certificates()

    @app.post("/reload")
    async def reload() -> dict[str, Any]:
        """Read the configuration again; 422 with all errors if it is refused."""
        return await instance.reload()

    @app.post("/upgrade")
    async def start_anew(request: UpgradeRequest | None = None) -> dict[str, int]:
        """Put a new process of the installed version in the place of this one."""
        pid = await upgrade((request or UpgradeRequest()).timeout_s)
        return {"pid": pid, "previous_pid": os.getpid()}

    @app.post("/explain")
    async def explain(request: Annotated[ExplainRequest, Body()]) -> Response:
        """What would happen to this request: route, filters, server, and why."""
        try:
            answer = instance.explain(request.model_dump(exclude_none=True))
        except LookupError as error:
            raise HTTPException(404, str(error)) from error
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        return Response(answer, media_type="application/json")


def _pool(instance: Instance, name: str) -> Any:
    for pool in instance.status()["pools"]:
        if pool["name"] == name:
            return pool
    raise HTTPException(404, f'no pool is named "{name}"')
