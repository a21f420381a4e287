"""Loads a configuration: reads, checks, and builds the plan, with all problems at once."""

import copy
import ipaddress
import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from pydantic import SecretStr, create_model

from trunkline.core.acme.wanted import WantedCertificates
from trunkline.core.config.document import Document, read_document
from trunkline.core.config.positions import Path
from trunkline.core.config.problems import ConfigError, Problem, key_text
from trunkline.core.config.process import SHORTEST_TOKEN, Admin, CoreConfig
from trunkline.core.config.references import check_reference
from trunkline.core.config.validation import validate
from trunkline.core.plan import PlanBuilder
from trunkline.core.role import Role
from trunkline.core.state import state_directory

# What stands for a secret where the configuration is shown.
_HIDDEN = "**********"


@dataclass(frozen=True)
class Loaded:
    """A sound configuration.

    Attributes:
        file: The main file.
        config: Its model: `CoreConfig` and one optional table for each role.
        plan: The plan as JSON; holds secrets.
    """

    file: FilePath
    config: CoreConfig
    plan: bytes = field(repr=False)
    builder: PlanBuilder = field(repr=False)

    def redacted(self) -> dict[str, Any]:
        """What was written, `${NAME}` as it stands there, and no secrets."""
        written = copy.deepcopy(self.builder.document.written)
        for path in _secrets(self.config.model_dump(exclude_unset=True), ()):
            holder: Any = written
            for part in path[:-1]:
                holder = holder[part]
            holder[path[-1]] = _HIDDEN
        return written

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

    def cannot_open(self, error: OSError) -> ConfigError:
        """The engine's failure to bind an address (its `filename`) or to open the access log."""
        if error.filename is None:
            return self.problem(self.builder.source_of("access_log.path"), str(error))
        source = self.builder.source_of_address(error.filename)
        return self.cannot_listen(source, error.filename, error)

    def cannot_listen(self, path: Path, address: object, error: OSError) -> ConfigError:
        """An address that cannot be bound."""
        # The system's words alone: whoever raises adds others of its own.
        reason = os.strerror(error.errno) if error.errno else error
        return self.problem(path, f"cannot listen on {address}: {reason}")

    def problem(self, path: Path, message: str) -> ConfigError:
        """One problem at a key."""
        place = self.builder.document.place(path)
        return ConfigError([Problem(*place, key_text(path), message)])


def _secrets(value: Any, path: Path) -> Iterator[Path]:
    """Where secrets stand; no short form of a value holds one, so it was written there too."""
    if isinstance(value, SecretStr):
        yield path
    elif isinstance(value, dict | list):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for part, item in parts:
            yield from _secrets(item, (*path, part))


def config_model(roles: Sequence[Role]) -> type[CoreConfig]:
    """The model of a whole file: what stands beside the roles, and their tables."""
    tables: dict[str, Any] = {role.name: (role.model | None, None) for role in roles}
    return create_model("Config", __base__=CoreConfig, **tables)


def load(
    file: FilePath,
    roles: Sequence[Role],
    *,
    only: str | None = None,
    environment: Mapping[str, str] | None = None,
    state: FilePath | None = None,
) -> Loaded:
    """Load the file.

    Args:
        file: The main file.
        roles: All roles there are: every table is checked.
        only: Name of the one role that goes into the plan; all by default.
        environment: For `${NAME}`; the process's own by default.
        state: Where certificates of issuers are kept, with a stand-in for each that is not there
            yet; the user's state folder by default.

    Raises:
        ConfigError: With everything that is wrong, sorted by place.
    """
    document = read_document(file, environment)
    config = None if _is_unreadable(document) else validate(config_model(roles), document)
    issuers = config.acme if config else {}
    certificates = WantedCertificates(issuers, file.parent, state or state_directory())
    builder = PlanBuilder(document, certificates)
    for role in roles:
        for reference in role.references:
            check_reference(reference, role.name, document)
    if config is not None:
        _add_core(config, builder, file.parent)
        for role in roles:
            table = getattr(config, role.name)
            if table is not None and only in (None, role.name):
                role.add_to_plan(table, builder)
        _check_challenges(builder)
    if document.problems or config is None:
        raise ConfigError(sorted(document.problems))
    return Loaded(file, config, builder.to_json(), builder)


def require_roles(loaded: Loaded, roles: Sequence[Role], only: str | None = None) -> None:
    """Refuse a configuration without the table of a role that shall run.

    Raises:
        ConfigError: There is none.
    """
    wanted = [role.name for role in roles if only in (None, role.name)]
    if not any(getattr(loaded.config, name) for name in wanted):
        tables = " or ".join(f"[{name}]" for name in wanted)
        message = f"{tables} is missing: there is nothing to run"
        raise loaded.problem((), message)


def _is_unreadable(document: Document) -> bool:
    """Whether the main file gave nothing, so that every further sentence would mislead."""
    return not document.data and bool(document.problems)


def _add_core(config: CoreConfig, builder: PlanBuilder, folder: FilePath) -> None:
    if config.admin.enabled:
        _check_admin(config.admin, builder, folder)
    if config.runtime.ready_file is not None:
        _check_folder(folder / config.runtime.ready_file, ("runtime", "ready_file"), builder)
    if config.access_log is not None:
        plan = config.access_log.to_plan()
        if plan["path"] != "-":
            _check_folder(folder / plan["path"], ("access_log", "path"), builder)
            plan["path"] = str((folder / plan["path"]).absolute())
        builder.set_access_log(plan)
    for name, issuer in config.acme.items():
        if issuer.ca is not None:
            _check_authorities(folder / issuer.ca, ("acme", name, "ca"), builder)


def _check_authorities(file: FilePath, source: Path, builder: PlanBuilder) -> None:
    try:
        ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        builder.report(source, f"no certificates in PEM in {file}")
    except OSError as error:
        builder.report(source, f"cannot read {file}: {error.strerror}")


def _check_challenges(builder: PlanBuilder) -> None:
    """Whether there is a listener that can prove the names; a TLS listener asks for them."""
    for wanted in builder.certificates.all():
        if wanted.issuer.challenges == ["http-01"] and not builder.has_plain_listener:
            source = ("acme", wanted.issuer_name, "challenges")
            builder.report(source, '"http-01" needs a listener without tls; or add "tls-alpn-01"')


def _check_folder(file: FilePath, source: Path, builder: PlanBuilder) -> None:
    """Whether a file can stand there; who may write it is seen at the start, by who starts."""
    if not file.parent.is_dir():
        builder.report(source, f"there is no folder {file.parent}")
    elif file.is_dir():
        builder.report(source, f"{file} is a folder")


def _check_admin(admin: Admin, builder: PlanBuilder, folder: FilePath) -> None:
    source = ("admin", "listen")
    if admin.token_file is not None:
        _check_token_file(folder / admin.token_file, builder)
    if admin.listen is None:
        return
    find = builder.claim_address if admin.listen.port else builder.resolve
    hosts = [ipaddress.ip_address(found.host) for found in find(admin.listen, source)]
    if not (admin.token or admin.token_file) and not all(host.is_loopback for host in hosts):
        builder.report(source, "not a loopback address: set a token, or listen on 127.0.0.1")


def _check_token_file(file: FilePath, builder: PlanBuilder) -> None:
    source = ("admin", "token_file")
    try:
        token = read_token(file)
    except OSError as error:
        builder.report(source, f"cannot read {file}: {error.strerror}")
    except UnicodeDecodeError:
        builder.report(source, f"{file} is not a text file")
    else:
        if len(token) < SHORTEST_TOKEN:
            builder.report(source, f"the first line needs at least {SHORTEST_TOKEN} characters")


def read_token(file: FilePath) -> str:
    """The first line of a token file.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is not text.
    """
    return file.read_text(encoding="utf-8").split("\n", 1)[0].strip()
