"""What can be changed, and the question that needs a body."""

import os
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from trunkline.core.admin import answers
from trunkline.core.admin.views import find_server
from trunkline.core.instance import Instance
from trunkline.core.upgrade.upgrader import DEFAULT_TIMEOUT_S

Upgrade = Callable[[float], Awaitable[int]]
"""Puts a new process in the place of this one; raises UpgradeError."""
_ENDING = {"model": answers.Failure, "description": "Not now: this process is about to end."}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class ServerChange(_Body):
    """What to change of a server; what is left out stays."""

    weight: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """Its share beside the others' weights; 0 keeps new requests away. On the hashing algorithms
    another value than 0 takes effect with the next configuration."""
    enabled: bool | None = None
    """false keeps new requests away."""
    draining: bool | None = None
    """true keeps new requests away; those in flight finish."""

    @model_validator(mode="after")
    def _changes_something(self) -> "ServerChange":
        if self.weight is None and self.enabled is None and self.draining is None:
            raise ValueError("give at least one of weight, enabled, draining")
        return self


class ExplainRequest(_Body):
    """A request to think through."""

    method: str = "GET"
    """GET, POST, …"""
    url: str
    """`http://HOST/PATH?QUERY`, or `/PATH?QUERY`."""
    headers: list[tuple[str, str]] = Field(default_factory=list)
    """Names and values, in order."""
    client: str = "127.0.0.1"
    """Address of the connection's other end."""
    listener: str | None = None
    """Where it comes in; default: the first listener."""


class UpgradeRequest(_Body):
    """How to upgrade."""

    timeout_s: Annotated[float, Field(gt=0, le=3_600)] = DEFAULT_TIMEOUT_S
    """How long the new process may take to be ready."""


def actions(instance: Instance, upgrade: Upgrade) -> APIRouter:
    """Everything that changes something, and `explain`."""
    router = APIRouter(tags=["actions"])
    _add_server(router, instance)
    _add_process(router, instance, upgrade)
    _add_certificates(router, instance)
    _add_explain(router, instance)
    return router


def _add_server(router: APIRouter, instance: Instance) -> None:
    @router.patch(
        "/pools/{pool}/servers/{server}",
        responses={
            200: {"model": answers.Server, "description": "The server as it is now."},
            404: {"model": answers.Failure, "description": "There is none of that name."},
        },
    )
    async def change_server(pool: str, server: str, change: ServerChange) -> Any:
        """Set weight, enabled or draining, until the server's configuration changes."""
        try:
            instance.set_server(pool, server, **change.model_dump())
        except LookupError as error:
            raise HTTPException(404, str(error.args[0])) from error
        return find_server(instance, pool, server)


def _add_process(router: APIRouter, instance: Instance, upgrade: Upgrade) -> None:
    @router.post(
        "/reload",
        responses={
            200: {"model": answers.Reloaded, "description": "Taken."},
            409: _ENDING,
            422: {"model": answers.Refused, "description": "Refused; the old one is in force."},
        },
    )
    async def reload() -> Any:
        """Read the configuration again: all of it is taken, or nothing."""
        return await instance.reload()

    @router.post(
        "/upgrade",
        responses={
            200: {"model": answers.Upgraded, "description": "The new process serves."},
            409: {"model": answers.Failure, "description": "Not now, or not here; nothing began."},
            422: {"model": answers.UpgradeRefused, "description": "The old process serves on."},
        },
    )
    async def start_anew(request: UpgradeRequest | None = None) -> Any:
        """Put a new process of the installed version in the place of this one."""
        pid = await upgrade((request or UpgradeRequest()).timeout_s)
        return {"pid": pid, "previous_pid": os.getpid()}


def _add_certificates(router: APIRouter, instance: Instance) -> None:
    @router.post(
        "/certificates/{name}/retry",
        responses={
            200: {"model": list[answers.Certificate], "description": "All of issuers."},
            404: {"model": answers.Failure, "description": "None has this host name."},
        },
    )
    async def retry_certificate(name: str) -> Any:
        """Order the certificates of a host name now, whatever failed before."""
        try:
            instance.retry_certificate(name)
        except LookupError as error:
            raise HTTPException(404, str(error)) from error
        return instance.certificates()


def _add_explain(router: APIRouter, instance: Instance) -> None:
    @router.post(
        "/explain",
        responses={
            200: {"model": answers.Explanation, "description": answers.EXPLANATION},
            404: {"model": answers.Failure, "description": "No such listener."},
            422: {"model": answers.Failure, "description": "The request makes no sense."},
        },
    )
    async def explain(request: Annotated[ExplainRequest, Body()]) -> Any:
        """What would happen to this request: route, filters, server, and why."""
        try:
            answer = instance.explain(request.model_dump(exclude_none=True))
        except LookupError as error:
            raise HTTPException(404, str(error)) from error
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        return Response(answer, media_type="application/json")
