"""The load balancer's part of the plan."""

from typing import Any

from trunkline.core.config.positions import Path
from trunkline.core.config.references import Reference
from trunkline.core.l7 import (
    add_pools,
    listener_to_plan,
    report_unknown_parameters,
    route_parts,
    route_to_plan,
)
from trunkline.core.plan import PlanBuilder
from trunkline.core.role import Role
from trunkline.lb.config import LbConfig, Listener, Route

# Below every priority that a configuration may give: the pool of a listener takes what is left.
_LAST = -(2**31)


def add_to_plan(config: LbConfig, builder: PlanBuilder) -> None:
    """Add all listeners, routes and pools."""
    for name, listener in config.http.items():
        _add_listener(name, listener, builder)
    add_pools("lb", config.pools, builder)


def _add_listener(name: str, listener: Listener, builder: PlanBuilder) -> None:
    source: Path = ("lb", "http", name)
    plan = listener_to_plan(f"lb.http.{name}", listener)
    index = builder.add_listener(plan, listener.listen, source)
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
    plan = route_to_plan(name, route, f"lb.{route.pool}")
    if route.rewrite is not None:
        report_unknown_parameters(route, route.rewrite, (*source, "rewrite"), builder)
        plan["rewrite"] = route.rewrite.to_plan()
    builder.add_route(listener, plan, source, route_parts(route, source))


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
    ),
    add_to_plan=add_to_plan,
)
