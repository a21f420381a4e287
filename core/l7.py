"""From HTTP listeners and routes of a configuration to their form in the plan.

What the L7 roles share; the contract is `native/crates/engine/src/plan.rs`.
"""

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from trunkline.core.config.answers import Maintenance, Redirect, Respond
from trunkline.core.config.http import Match, Predicate, Rewrite, unknown_parameters
from trunkline.core.config.listener import HttpListener
from trunkline.core.config.positions import Path
from trunkline.core.config.problems import listing
from trunkline.core.config.route import Exchange
from trunkline.core.config.tls import ListenerTls
from trunkline.core.plan import PlanBuilder

_LISTENER_PARTS = {
    "http2",
    "proxy_protocol",
    "timeouts",
    "limits",
    "forwarding",
    "reason_header",
    "access_log",
}
_ROUTE_PARTS = {"methods", "priority", "timeouts", "retry", "buffer_request", "grpc_web"}


def add_listener(role: str, name: str, listener: HttpListener, builder: PlanBuilder) -> int:
    """Add a listener of a role without its routes, named `role.http.name`; its index."""
    source: Path = (role, "http", name)
    plan = {"name": f"{role}.http.{name}", **_written(listener, _LISTENER_PARTS)}
    parts: dict[str, Path] = {}
    if listener.tls is not None:
        files = _acme_files(listener.tls, (*source, "tls"), builder)
        plan["tls"] = listener.tls.to_plan_from(builder.folder, files)
        parts = listener.tls.parts((*source, "tls"))
    return builder.add_listener(plan, listener.listen, source, parts)


def _acme_files(tls: ListenerTls, source: Path, builder: PlanBuilder) -> list[FilePath]:
    """Where the certificates of issuers are kept; what cannot be asked for is reported."""
    files: list[FilePath] = []
    for number, certificate in enumerate(tls.acme or []):
        written = (*source, "acme")
        # One alone may stand without its brackets.
        here = written if isinstance(builder.document.get(written), dict) else (*written, number)
        try:
            files.append(builder.certificates.add(certificate))
        except LookupError as error:
            # An issuer that stands there and is not known was refused, for a reason of its own.
            written_issuers = builder.document.names("acme")
            asked_for = {certificate.issuer} if certificate.issuer else written_issuers
            if not (len(asked_for) == 1 and asked_for <= written_issuers):
                builder.report((*here, "issuer"), str(error))
        except OSError as error:
            builder.report(here, f"cannot write {error.filename}: {error.strerror}")
    return files


def route_to_plan(name: str, route: Exchange, role: str, builder: PlanBuilder) -> dict[str, Any]:
    """The route without filters and rewriting; pools are named `role.pool`."""
    plan = {"name": name, **_written(route, _ROUTE_PARTS), "path": route.path_to_plan()}
    plan |= {"hosts": route.host} if route.host else {}
    plan |= {"headers": _predicates(route.headers)} if route.headers else {}
    plan |= {"query": _predicates(route.query)} if route.query else {}
    plan |= {"cookies": _predicates(route.cookies)} if route.cookies else {}
    plan |= route.traffic_to_plan(role)
    return plan if route.split else {**plan, "pool": builder.pool_name(role, route.pool)}


def route_parts(route: Exchange, source: Path) -> dict[str, Path]:
    """Where the parts of a route's plan stand that the configuration names differently."""
    parts: dict[str, Path] = {"path": (*source, route.path_key), "hosts": (*source, "host")}
    for table in ("headers", "query", "cookies"):
        for number, name in enumerate(getattr(route, table) or {}):
            parts[f"{table}[{number}]"] = (*source, table, name)
    return {**parts, "compression.min_bytes": (*source, "compression", "min_size")}


def answer_to_plan(
    answer: Respond | Maintenance, source: Path, builder: PlanBuilder
) -> dict[str, Any]:
    """An answer with its file read; what is wrong with that is reported."""
    key = "body_file" if isinstance(answer, Respond) else "page_file"
    try:
        return answer.to_plan_in(builder.folder)
    except OSError as error:
        builder.report((*source, key), f"cannot read {error.filename}: {error.strerror}")
    except ValueError as error:
        builder.report((*source, key), str(error))
    return {}


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
