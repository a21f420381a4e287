"""What can be asked: probes for everybody, and the state of things for who shows the token."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, HTTPException, Query, Response
from fastapi.responses import PlainTextResponse

from trunkline.core.admin import answers
from trunkline.core.instance import Instance

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": answers.Failure, "description": "There is none of that name."}
}


def probes(instance: Instance) -> APIRouter:
    """For load balancers, Kubernetes and Prometheus."""
    router = APIRouter(tags=["probes"])

    @router.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """200 as long as the process works, draining or not."""
        return "ok\n"

    @router.get(
        "/readyz",
        response_class=PlainTextResponse,
        responses={503: {"description": "It starts, or is about to end."}},
    )
    async def readyz() -> Response:
        """200 if new connections are welcome, else 503."""
        ready = instance.is_ready
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Prometheus text format; the families are on the page docs/concepts/metrics.md."""
        return Response(instance.metrics(), media_type=METRICS_TYPE)

    return router


def views(instance: Instance) -> APIRouter:
    """The state of things."""
    router = APIRouter(tags=["state"])
    _add_whole(router, instance)
    _add_traffic(router, instance)
    _add_servers(router, instance)
    _add_guards(router, instance)
    return router


def _answers(model: Any, description: str) -> dict[int | str, dict[str, Any]]:
    """Describes an answer that is not to be validated."""
    return {200: {"model": model, "description": description}}


def _add_whole(router: APIRouter, instance: Instance) -> None:
    @router.get("/status", responses=_answers(answers.Status, "Everything in one."))
    async def status() -> Any:
        """Everything: the process, listeners, routes, pools, limits, breakers, failures."""
        return _plain(instance.status())

    @router.get("/config")
    async def config() -> dict[str, Any]:
        """The running configuration as written: secrets hidden, `${NAME}` not filled in."""
        return instance.loaded.redacted()


def _add_traffic(router: APIRouter, instance: Instance) -> None:
    @router.get("/listeners", responses=_answers(list[answers.Listener], "All listeners."))
    async def listeners() -> Any:
        """Addresses, open connections, requests, failures by reason."""
        return _plain(instance.status()["listeners"])

    @router.get("/routes", responses=_answers(list[answers.Route], "All routes."))
    async def routes() -> Any:
        """All routes with their counters and latencies."""
        return _plain(instance.status()["routes"])

    @router.get("/errors", responses=_answers(list[answers.RecentError], "Newest first."))
    async def errors(
        *,
        reason: Annotated[str | None, Query(description="E.g. `connect_failed`.")] = None,
        side: Annotated[
            Literal["client", "upstream", "gateway"] | None, Query(description="Whose fault.")
        ] = None,
        listener: Annotated[str | None, Query(description="E.g. `lb.http.front`.")] = None,
        route: Annotated[str | None, Query(description="E.g. `lb.front.default`.")] = None,
        server: Annotated[str | None, Query(description="Its name.")] = None,
        after: Annotated[int, Query(ge=0, description="Only ids above this.")] = 0,
        limit: Annotated[int, Query(ge=1, le=10_000, description="At most so many.")] = 100,
    ) -> Any:
        """The last failures, at most 32 of each reason; all conditions must hold."""
        conditions = {
            "reason": reason,
            "side": side,
            "listener": listener,
            "route": route,
            "server": server,
        }
        given = {name: value for name, value in conditions.items() if value is not None}
        found = instance.status()["recent_errors"]
        return _plain(list(_matching(found, given, after))[:limit])


def _matching(
    found: Iterable[dict[str, Any]], conditions: dict[str, str], after: int
) -> Iterable[dict[str, Any]]:
    for error in found:
        if error["id"] > after and conditions.items() <= error.items():
            yield error


def _add_servers(router: APIRouter, instance: Instance) -> None:
    @router.get("/pools", responses=_answers(list[answers.Pool], "All pools."))
    async def pools() -> Any:
        """All pools with their servers: health and its reason, weight, requests in flight."""
        return _plain(instance.status()["pools"])

    @router.get(
        "/pools/{pool}/servers",
        responses=_answers(list[answers.Server], "Its servers.") | _NOT_FOUND,
    )
    async def servers(pool: str) -> Any:
        """The servers of one pool."""
        return _plain(find_pool(instance, pool)["servers"])

    @router.get(
        "/pools/{pool}/servers/{server}",
        responses=_answers(answers.Server, "The server.") | _NOT_FOUND,
    )
    async def server_of_pool(pool: str, server: str) -> Any:
        """One server."""
        return _plain(find_server(instance, pool, server))

    @router.get(
        "/discovery", responses=_answers(list[answers.Discovered], "Each source with its pool.")
    )
    async def discovery() -> Any:
        """Where servers are found, and what was said last."""
        return _plain(instance.status()["discovery"])


def _add_guards(router: APIRouter, instance: Instance) -> None:
    @router.get("/limits", responses=_answers(list[answers.Limiter], "All rate limits."))
    async def limits() -> Any:
        """Rate limits and how full they are."""
        return _plain(instance.status()["limiters"])

    @router.get("/breakers", responses=_answers(list[answers.Breaker], "All breakers."))
    async def breakers() -> Any:
        """Circuit breakers and their state."""
        return _plain(instance.status()["breakers"])

    @router.get("/certificates", responses=_answers(list[answers.Certificate], "All of issuers."))
    async def certificates() -> Any:
        """Certificates of issuers: names, state, validity, the next attempt, the last error."""
        return _plain(instance.certificates())


def find_pool(instance: Instance, name: str) -> Any:
    """A pool of the status.

    Raises:
        HTTPException: 404.
    """
    for pool in instance.status()["pools"]:
        if pool["name"] == name:
            return pool
    raise HTTPException(404, f'no pool is named "{name}"')


def find_server(instance: Instance, pool: str, name: str) -> Any:
    """A server of the status.

    Raises:
        HTTPException: 404.
    """
    for server in find_pool(instance, pool)["servers"]:
        if server["name"] == name:
            return server
    raise HTTPException(404, f'the pool "{pool}" has no server "{name}"')


def _plain(value: Any) -> Response:
    """JSON as it is: a status of 10 000 routes is not walked through again."""
    return Response(orjson.dumps(value), media_type="application/json")
