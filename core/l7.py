"""From HTTP listeners, routes and pools of a configuration to their form in the plan.

What the L7 roles share; the contract is `native/crates/engine/src/plan.rs`.
"""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from trunkline.core.config.answers import Maintenance, Redirect, Respond
from trunkline.core.config.http import (
    Exchange,
    HttpListener,
    Match,
    Predicate,
    Rewrite,
    unknown_parameters,
)
from trunkline.core.config.pool import Pool
from trunkline.core.config.positions import Path
from trunkline.core.config.problems import listing
from trunkline.core.plan import PlanBuilder

_LISTENER_PARTS = {"timeouts", "limits", "forwarding", "reason_header", "access_log"}
_ROUTE_PARTS = {"methods", "priority", "timeouts", "retry"}


def listener_to_plan(name: str, listener: HttpListener) -> dict[str, Any]:
    """The listener without addresses and routes."""
    return {"name": name, **_written(listener, _LISTENER_PARTS)}


def route_to_plan(name: str, route: Exchange, pool: str) -> dict[str, Any]:
    """The route without filters and rewriting."""
    plan = {"name": name, **_written(route, _ROUTE_PARTS), "path": route.path_to_plan()}
    plan |= {"hosts": route.host} if route.host else {}
    plan |= {"headers": _predicates(route.headers)} if route.headers else {}
    plan |= {"query": _predicates(route.query)} if route.query else {}
    plan |= {"cookies": _predicates(route.cookies)} if route.cookies else {}
    return {**plan, "pool": pool}


def route_parts(route: Exchange, source: Path) -> dict[str, Path]:
    """Where the parts of a route's plan stand that the configuration names differently."""
    parts: dict[str, Path] = {"path": (*source, route.path_key), "hosts": (*source, "host")}
    for table in ("headers", "query", "cookies"):
        for number, name in enumerate(getattr(route, table) or {}):
            parts[f"{table}[{number}]"] = (*source, table, name)
    return parts


def answer_to_plan(
    answer: Respond | Maintenance, source: Path, builder: PlanBuilder
) -> dict[str, Any]:
    """An answer with its file read; what is wrong with that is reported."""
    folder = FilePath(builder.document.main_file).parent
    key = "body_file" if isinstance(answer, Respond) else "page_file"
    try:
        return answer.to_plan_in(folder)
    except OSError as error:
        builder.report((*source, key), f"cannot read {error.filename}: {error.strerror}")
    except ValueError as error:
        builder.report((*source, key), str(error))
    return {}


def add_pools(role: str, pools: Mapping[str, Pool], builder: PlanBuilder) -> None:
    """Add the pools of a role, named `role.pool`."""
    for name, pool in pools.items():
        builder.add_pool(f"{role}.{name}", pool, (role, "pools", name))


def report_unknown_parameters(
    match: Match, rewrite: Rewrite | Redirect, source: Path, builder: PlanBuilder
) -> None:
    """Report each `{parameter}` of a rewriting that the route's path does not bind."""
    parameters = match.parameters()
    found = [(keys, text, parameters) for keys, text in rewrite.templates().items()]
    if rewrite.regex is not None:
        own = parameters | rewrite.regex.parameters()
        found.append((("regex", "replace"), rewrite.regex.replace, own))
    for keys, template, known in found:
        for name in unknown_parameters(template, known):
            words = f"the path has: {listing(parameters)}"
            builder.report((*source, *keys), f'no parameter "{{{name}}}" in the path; {words}')


def _written(model: HttpListener | Exchange, names: set[str]) -> dict[str, Any]:
    return model.model_dump(by_alias=True, exclude_unset=True, include=names)


def _predicates(tests: Mapping[str, Predicate]) -> list[dict[str, Any]]:
    return [{"name": name, **predicate.to_plan()} for name, predicate in tests.items()]
