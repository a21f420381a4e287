"""`reload`, `upgrade`, `status` and `explain`: questions to a running trunkline."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from trunkline.core.admin.client import (
    AdminClient,
    NoAnswerError,
    NotRunningError,
    RefusedError,
    find_client,
)
from trunkline.core.commands import output
from trunkline.core.config.load import load
from trunkline.core.config.problems import ConfigError, Problem
from trunkline.core.instance import apply
from trunkline.core.native import Engine
from trunkline.core.role import Role

# Between the outcome of an upgrade and its answer.
_ANSWER_S = 10.0
# A reload waits for an upgrade that is under way, and for names; many routes take seconds.
_RELOAD_S = 300.0
# There may be hundreds; `GET /errors` of the admin API has them all.
_ERRORS_SHOWN = 20


def reload(config: Path | None) -> int:
    """Make it read its configuration again."""
    return _ask(config, _reload)


def upgrade(config: Path | None, timeout_s: float) -> int:
    """Put a new process in the place of the running one; return when it serves, or cannot."""

    def ask(client: AdminClient) -> int:
        request = {"timeout_s": timeout_s}
        try:
            answer = client.call("POST", "/upgrade", request, timeout_s=timeout_s + _ANSWER_S)
        except RefusedError as refused:
            return _refused(refused, f"not upgraded, the old process serves on: {refused.reason}")
        pid, previous = answer["pid"], answer["previous_pid"]
        print(f"upgraded: process {pid} serves, process {previous} finishes what it has begun")
        return output.OK

    return _ask(config, ask)


def status(config: Path | None, *, as_json: bool) -> int:
    """Print what runs and how it is."""

    def show(client: AdminClient) -> int:
        answer = client.call("GET", "/status")
        if as_json:
            output.as_json(answer)
        else:
            _show_status(answer)
        return output.OK

    return _ask(config, show)


def explain(config: Path | None, request: dict[str, Any], *, as_json: bool) -> int:
    """Print what would happen to a request, in the running trunkline."""

    def show(client: AdminClient) -> int:
        _show_explanation(client.call("POST", "/explain", request), as_json=as_json)
        return output.OK

    return _ask(config, show)


def explain_offline(
    config: Path, roles: Sequence[Role], request: dict[str, Any], *, as_json: bool
) -> int:
    """The same for a configuration that does not run: all servers count as healthy."""
    engine = Engine(1)
    try:
        with TemporaryDirectory(prefix="trunkline-") as state:
            apply(engine, load(config, roles, state=Path(state)), bind=False)
        answer = orjson.loads(engine.explain(orjson.dumps(request)))
    except ConfigError as refused:
        output.problems(refused.problems)
        return output.FAILED
    except (LookupError, ValueError) as error:
        output.error(str(error))
        return output.FAILED
    _show_explanation(answer, as_json=as_json)
    return output.OK


def _ask(config: Path | None, question: Callable[[AdminClient], int]) -> int:
    try:
        return question(find_client(config))
    except NotRunningError as error:
        output.error(str(error))
        return output.NOT_RUNNING
    except NoAnswerError as error:
        output.error(str(error))
        return output.NO_ANSWER
    except RefusedError as error:
        output.error(str(error))
        return output.FAILED


def _reload(client: AdminClient) -> int:
    try:
        answer = client.call("POST", "/reload", timeout_s=_RELOAD_S)
    except RefusedError as refused:
        return _refused(refused, "refused: the old configuration keeps running")
    waiting_tables = answer.pop("needs_restart")
    print("reloaded:", ", ".join(f"{name} {figure}" for name, figure in answer.items()))
    for waiting in waiting_tables:
        output.error(f"[{waiting}] changed: that takes effect at the next start")
    return output.OK


def _refused(refused: RefusedError, conclusion: str) -> int:
    """Print the problems that the answer lists; what lists none is somebody else's to print."""
    if not isinstance(refused.body, dict) or "errors" not in refused.body:
        raise refused
    output.problems([Problem(**error) for error in refused.body["errors"]])
    output.error(conclusion)
    return output.FAILED


def _show_status(answer: dict[str, Any]) -> None:
    screen = output.console()
    answer["recent_errors"] = answer["recent_errors"][:_ERRORS_SHOWN]
    for title, value in answer.items():
        if title == "pools":
            for pool in value:
                screen.print(output.table(f"pool {pool['name']}", pool["servers"]), "")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            screen.print(output.table(title, value), "")
        elif isinstance(value, dict):
            screen.print(title, "\n".join(output.outline(value, indent=1)), "", sep="\n")


def _show_explanation(answer: Any, *, as_json: bool) -> None:
    if as_json:
        output.as_json(answer)
    else:
        print("\n".join(output.outline(answer)))
