"""Loads a configuration: reads, checks, and builds the plan, with all problems at once."""

import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import create_model

from trunkline.core.config.document import Document, read_document
from trunkline.core.config.models import Admin, CoreConfig
from trunkline.core.config.problems import ConfigError, Problem, key_text
from trunkline.core.config.references import check_reference
from trunkline.core.config.validation import validate
from trunkline.core.plan import PlanBuilder
from trunkline.core.role import Role


@dataclass(frozen=True)
class Loaded:
    """A sound configuration.

    Attributes:
        file: The main file.
        config: Its model: `CoreConfig` and one optional table for each role.
        plan: The plan as JSON; holds secrets.
    """

    file: Path
    config: CoreConfig
    plan: bytes = field(repr=False)
    builder: PlanBuilder = field(repr=False)

    def redacted(self) -> dict[str, Any]:
        """What was written, without secrets."""
        return self.config.model_dump(mode="json", exclude_unset=True)

    def refusal(self, errors: Sequence[Mapping[str, str]]) -> ConfigError:
        """The engine's refusal of the plan, with the keys that its parts come from."""
        document = self.builder.document
        # A set: an API that two listeners offer is refused twice.
        problems = set()
        for error in errors:
            path = self.builder.source_of(error["path"])
            message = " ".join(error["message"].split())
            problems.add(Problem(*document.place(path), key_text(path), message))
        return ConfigError(sorted(problems))


def config_model(roles: Sequence[Role]) -> type[CoreConfig]:
    """The model of a whole file: what stands beside the roles, and their tables."""
    tables: dict[str, Any] = {role.name: (role.model | None, None) for role in roles}
    return create_model("Config", __base__=CoreConfig, **tables)


def load(
    file: Path,
    roles: Sequence[Role],
    *,
    only: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """Load the file.

    Args:
        file: The main file.
        roles: All roles there are: every table is checked.
        only: Name of the one role that goes into the plan; all by default.
        environment: For `${NAME}`; the process's own by default.

    Raises:
        ConfigError: With everything that is wrong, sorted by place.
    """
    document = read_document(file, environment)
    builder = PlanBuilder(document)
    config = None if _is_unreadable(document) else validate(config_model(roles), document)
    for role in roles:
        for reference in role.references:
            check_reference(reference, role.name, document)
    if config is not None:
        _add_core(config, builder, file.parent)
        for role in roles:
            table = getattr(config, role.name)
            if table is not None and only in (None, role.name):
                role.add_to_plan(table, builder)
    if document.problems or config is None:
        raise ConfigError(sorted(document.problems))
    return Loaded(file, config, builder.to_json(), builder)


def _is_unreadable(document: Document) -> bool:
    """Whether the main file gave nothing, so that every further sentence would mislead."""
    return not document.data and bool(document.problems)


def _add_core(config: CoreConfig, builder: PlanBuilder, folder: Path) -> None:
    if config.admin.enabled:
        _check_admin(config.admin, builder, folder)
    if config.access_log is not None:
        plan = config.access_log.to_plan()
        if plan["path"] != "-":
            plan["path"] = str((folder / plan["path"]).absolute())
        builder.set_access_log(plan)


def _check_admin(admin: Admin, builder: PlanBuilder, folder: Path) -> None:
    source = ("admin", "listen")
    if admin.token_file is not None and not _can_read(folder / admin.token_file):
        builder.report(("admin", "token_file"), f"cannot read {folder / admin.token_file}")
    if admin.listen is None:
        return
    if admin.listen.port:
        builder.claim_address(admin.listen, source)
    hosts = [ipaddress.ip_address(found.host) for found in builder.resolve(admin.listen, source)]
    if not (admin.token or admin.token_file) and not all(host.is_loopback for host in hosts):
        builder.report(source, "not a loopback address: set a token, or listen on 127.0.0.1")


def _can_read(file: Path) -> bool:
    return os.access(file, os.R_OK)
