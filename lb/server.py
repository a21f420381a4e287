"""The load balancer's part of the plan."""

from typing import Any

from trunkline.core.config.positions import Path
from trunkline.core.config.references import Reference
from trunkline.core.l7 import (
    add_listener,
    answer_to_plan,
    report_unknown_parameters,
    route_parts,
    route_to_plan,
)
from trunkline.core.plan import PlanBuilder
from trunkline.core.pools import add_pools, check_pools_of_route
from trunkline.core.role import Role
from trunkline.lb.config import LbConfig, Listener, Route

# Below every priority that a configuration may give: the pool of a listener takes what is left.
_LAST = -(2**31)


def add_to_plan(config: LbConfig, builder: PlanBuilder) -> None:
    """Add all listeners, routes and pools."""
    for name, listener in config.http.items():
        _add_listener(name, listener, builder)
        for number, route in enumerate(listener.routes):
            source = ("lb", "http", name, "routes", number)
            check_pools_of_route(route, source, config.pools, builder)
    add_pools("lb", config.pools, builder)


def _add_listener(name: str, listener: Listener, builder: PlanBuilder) -> None:
    source: Path = ("lb", "http", name)
    index = add_listener("lb", name, listener, builder)
    names: set[str] = set()
    for number, route in enumerate(listener.routes):
        route_name = route.name or str(number)
        route_source = (*source, "routes", number)
        if route_name in names:
            builder.report((*route_source, "name"), f'a route "{route_name}" stands above already')
        names.add(route_name)
        _add_route(index, f"lb.{name}.{route_name}", route, route_source, builder)
    if listener.pool is not None:
        builder.add_route(index, _catch_all(name, listener.pool), source, {})


def _add_route(listener: int, name: str, route: Route, source: Path, builder: PlanBuilder) -> None:
    plan = route_to_plan(name, route, "lb", builder)
    parts = route_parts(route, source)
    if route.rewrite is not None:
        report_unknown_parameters(route, route.rewrite, (*source, "rewrite"), builder)
        plan["rewrite"] = route.rewrite.to_plan()
    if route.redirect is not None:
        report_unknown_parameters(route, route.redirect, (*source, "redirect"), builder)
    for number, (key, step) in enumerate(_filters(route, source, builder).items()):
        plan.setdefault("filters", []).append(step)
        parts[f"filters[{number}]"] = parts[f"filters[{number}].response"] = (*source, key)
    builder.add_route(listener, plan, source, parts)


def _filters(route: Route, source: Path, builder: PlanBuilder) -> dict[str, dict[str, Any]]:
    """The keys of a route that are filters in the plan, in the order in which they run."""
    found: dict[str, dict[str, Any]] = {}
    if route.response_headers is not None:
        edits = {"response": route.response_headers.to_plan()}
        found["response_headers"] = {"type": "headers", **edits}
    if route.maintenance is not None:
        plan = answer_to_plan(route.maintenance, (*source, "maintenance"), builder)
        found["maintenance"] = {"type": "maintenance", **plan}
    if route.https_redirect is not None:
        found["https_redirect"] = {"type": "redirect", **route.https_redirect.to_plan()}
    if route.redirect is not None:
        found["redirect"] = {"type": "redirect", **route.redirect.to_plan()}
    if route.respond is not None:
        plan = answer_to_plan(route.respond, (*source, "respond"), builder)
        found["respond"] = {"type": "respond", **plan}
    return found


def _catch_all(listener: str, pool: str) -> dict[str, Any]:
    path = {"kind": "prefix", "value": "/"}
    return {"name": f"lb.{listener}.default", "path": path, "priority": _LAST, "pool": f"lb.{pool}"}


ROLE = Role(
    name="lb",
    summary="Balance HTTP requests over pools of servers.",
    model=LbConfig,
    references=(
        Reference(("http", "*", "pool"), "pools", "pool"),
        Reference(("http", "*", "routes", "*", "pool"), "pools", "pool"),
        Reference(("http", "*", "routes", "*", "split", "*", "pool"), "pools", "pool"),
        Reference(("http", "*", "routes", "*", "mirror", "pool"), "pools", "pool"),
    ),
    add_to_plan=add_to_plan,
)
