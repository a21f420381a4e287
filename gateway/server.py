"""The gateway's part of the plan: each API is a route on every listener that offers it."""

from collections.abc import Sequence
from typing import Any

from trunkline.core.config.positions import Path
from trunkline.core.config.problems import key_text
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
from trunkline.gateway.config import Api, GatewayConfig
from trunkline.gateway.filters import (
    CircuitBreaker,
    Filter,
    Jwt,
    Maintenance,
    RateLimit,
    Respond,
)


def add_to_plan(config: GatewayConfig, builder: PlanBuilder) -> None:
    """Add all listeners, APIs, consumers and pools."""
    listeners = {
        name: add_listener("gateway", name, listener, builder)
        for name, listener in config.http.items()
    }
    common = _filters_to_plan(config.filters, ("gateway", "filters"), builder)
    for name, api in config.apis.items():
        _add_api(name, api, common, listeners, builder)
        check_pools_of_route(api, ("gateway", "apis", name), config.pools, builder)
    _add_consumers(config, builder)
    add_pools("gateway", config.pools, builder)


def _add_api(
    name: str,
    api: Api,
    common: list[dict[str, Any]],
    listeners: dict[str, int],
    builder: PlanBuilder,
) -> None:
    source: Path = ("gateway", "apis", name)
    own = _filters_to_plan(api.filters, (*source, "filters"), builder)
    plan = route_to_plan(f"gateway.{name}", api, "gateway", builder)
    if api.backend is not None:
        report_unknown_parameters(api, api.backend, (*source, "backend"), builder)
        plan["rewrite"] = api.backend.to_plan()
    plan |= {"filters": common + own} if common or own else {}
    offered = {
        n: index for n, index in listeners.items() if not api.listeners or n in api.listeners
    }
    if not builder.document.names("gateway", "http"):
        builder.report(source, "no listener offers it; add [gateway.http.NAME]")
    for listener, index in offered.items():
        # A route's name is the identity of its counters, so a second listener needs its own.
        suffix = "" if len(offered) == 1 else f"@{listener}"
        route = {**plan, "name": plan["name"] + suffix}
        builder.add_route(index, route, source, _parts(api, source, len(common), len(own)))


def _parts(api: Api, source: Path, common: int, own: int) -> dict[str, Path]:
    """Where the parts of an API's route come from."""
    parts = {**route_parts(api, source), "rewrite": (*source, "backend")}
    for index in range(common):
        parts[f"filters[{index}]"] = ("gateway", "filters", index)
    for index in range(own):
        parts[f"filters[{common + index}]"] = (*source, "filters", index)
    return parts


def _filters_to_plan(
    filters: Sequence[Filter], source: Path, builder: PlanBuilder
) -> list[dict[str, Any]]:
    return [_filter_to_plan(step, (*source, index), builder) for index, step in enumerate(filters)]


def _filter_to_plan(step: Filter, source: Path, builder: PlanBuilder) -> dict[str, Any]:
    plan = step.to_plan()
    if isinstance(step, RateLimit | CircuitBreaker):
        plan["name"] = step.name or key_text(source)
    elif isinstance(step, Jwt):
        plan |= _jwt_key(step, source, builder)
    elif isinstance(step, Respond | Maintenance):
        plan = {"type": step.type, **answer_to_plan(step, source, builder)}
    return plan


def _jwt_key(step: Jwt, source: Path, builder: PlanBuilder) -> dict[str, str]:
    key = "jwks_file" if step.jwks_file is not None else "public_key_file"
    try:
        return step.key_to_plan(builder.folder)
    except OSError as error:
        builder.report((*source, key), f"cannot read {error.filename}: {error.strerror}")
    except UnicodeDecodeError:
        builder.report((*source, key), "is not a text file")
    return {}


def _add_consumers(config: GatewayConfig, builder: PlanBuilder) -> None:
    owners: dict[str, str] = {}
    for name, consumer in config.consumers.items():
        source: Path = ("gateway", "consumers", name)
        for number, key in enumerate(consumer.keys):
            owner = owners.setdefault(key.get_secret_value(), name)
            if owner != name:
                at = (*source, "keys", number)
                builder.report(at, f'the same key belongs to "{owner}"; give each its own')
        builder.add_consumer(name, consumer.keys, source)


ROLE = Role(
    name="gateway",
    summary="Serve APIs: authenticate, limit, convert, call, degrade.",
    model=GatewayConfig,
    references=(
        Reference(("apis", "*", "pool"), "pools", "pool"),
        Reference(("apis", "*", "split", "*", "pool"), "pools", "pool"),
        Reference(("apis", "*", "mirror", "pool"), "pools", "pool"),
        Reference(("apis", "*", "listeners", "*"), "http", "listener"),
        Reference(("filters", "*", "consumers", "*"), "consumers", "consumer"),
        Reference(("apis", "*", "filters", "*", "consumers", "*"), "consumers", "consumer"),
    ),
    add_to_plan=add_to_plan,
)
