"""From pools of a configuration to their form in the plan, and what routes ask of them.

What the L7 roles share; the contract is `native/crates/engine/src/plan.rs`.
"""

from collections.abc import Mapping
from typing import Any

from trunkline.core.config.pool import Pool
from trunkline.core.config.positions import Path
from trunkline.core.config.route import Exchange
from trunkline.core.config.traffic import Sticky
from trunkline.core.plan import PlanBuilder

# What a dump of the model does not bring into its form.
_APART = {"servers", "tls", "sticky", "concurrency"}


def add_pools(role: str, pools: Mapping[str, Pool], builder: PlanBuilder) -> None:
    """Add the pools of a role, named `role.pool`."""
    for name, pool in pools.items():
        source: Path = (role, "pools", name)
        plan = {"name": f"{role}.{name}", **_pool_to_plan(pool, source, builder)}
        builder.add_pool(plan, pool, source, _parts(source, builder))


def check_pools_of_route(
    route: Exchange, source: Path, pools: Mapping[str, Pool], builder: PlanBuilder
) -> None:
    """Report what a route wants and its pools do not allow."""
    for name in route.pools:
        pool = pools.get(name)
        if pool is None:
            continue
        if route.grpc_web and pool.protocol != "h2":
            builder.report((*source, "grpc_web"), f'the pool "{name}" needs protocol = "h2"')
        if route.hedge is not None and not pool.has_retry_budget:
            words = f'does nothing: the retry_budget of the pool "{name}" allows no try'
            builder.report((*source, "hedge"), words)


def _pool_to_plan(pool: Pool, source: Path, builder: PlanBuilder) -> dict[str, Any]:
    """The pool without name and servers."""
    plan = pool.model_dump(by_alias=True, exclude_unset=True, exclude=_APART)
    plan |= {"tls": pool.tls.to_plan_from(builder.folder)} if pool.tls else {}
    plan |= {"concurrency": pool.concurrency.to_plan()} if pool.concurrency else {}
    return plan | (_sticky_to_plan(pool.sticky, source, builder) if pool.sticky else {})


def _sticky_to_plan(sticky: Sticky, source: Path, builder: PlanBuilder) -> dict[str, Any]:
    key_file = (*source, "sticky", "key_file")
    try:
        return {"sticky": sticky.to_plan_in(builder.folder)}
    except OSError as error:
        builder.report(key_file, f"cannot read {error.filename}: {error.strerror}")
    except ValueError as error:
        builder.report(key_file, str(error))
    return {}


def _parts(source: Path, builder: PlanBuilder) -> dict[str, Path]:
    """Where the parts of a pool's plan stand that the configuration names differently."""
    keys = [(*source, "sticky", key) for key in ("key", "key_file")]
    written = next((key for key in keys if builder.document.get(key) is not None), None)
    return {"sticky.keys": written} if written else {}
