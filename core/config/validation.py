"""Checks data against a model and says each refusal in a sentence, at the place it was written.

A part that is refused is left out and the rest is checked on, so that one mistake does not hide the
next: the caller gets the problems and, for the checks between parts, a model of what is sound.
"""

import copy
import types
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trunkline.core.config.document import Document
from trunkline.core.config.patterns import WORDS
from trunkline.core.config.positions import Path
from trunkline.core.config.problems import listing, suggestion
from trunkline.core.config.values import shown

AnyModel = TypeVar("AnyModel", bound=BaseModel)


def validate(model: type[AnyModel], document: Document) -> AnyModel | None:
    """The document as a model; problems are added to the document.

    Returns:
        The model of everything that was not refused; None if nothing is left of it.
    """
    data = copy.deepcopy(document.data)
    reported = False
    while True:
        try:
            return model.model_validate(data)
        except ValidationError as refusal:
            errors = refusal.errors(include_url=False)
        paths = [config_path(model, error["loc"], document) for error in errors]
        if not reported:
            for error, path in zip(errors, paths, strict=True):
                document.report(path, _sentence(model, error, path, document))
            reported = True
        if not all(_leave_out(data, path) for path in paths):
            return None


def config_path(
    model: type[BaseModel], location: tuple[int | str, ...], document: Document
) -> Path:
    """The keys as written for pydantic's location: no union tags, no parts of a short form."""
    path = tuple(part for part, _ in _walk(model, location, document.data))
    while len(path) > 1 and not isinstance(document.get(path[:-1]), dict | list):
        path = path[:-1]
    return path


def _leave_out(data: Any, path: Path) -> bool:
    """Remove the innermost part on the path that exists; False if there is none.

    An element of an array takes its array along: what follows it would change its place.
    """
    holders: list[tuple[dict[str, Any], str]] = []
    for part in path:
        if isinstance(data, dict) and part in data:
            holders.append((data, str(part)))
        elif not (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            break
        data = data[part]
    if not holders:
        return False
    table, key = holders[-1]
    del table[key]
    return True


# --- walking types along a location ---------------------------------------------------------------


def _walk(
    model: Any, location: tuple[int | str, ...], data: Any
) -> list[tuple[int | str, type[BaseModel] | None]]:
    """Each key of the location with the model that holds it; tags of unions are left out."""
    steps: list[tuple[int | str, type[BaseModel] | None]] = []
    kind: Any = model
    for part in location:
        kind = _bare(kind)
        if isinstance(kind, _Tagged):
            kind = kind.member(str(part))
            continue
        if part == "[key]":
            continue
        steps.append((part, kind if _is_model(kind) else None))
        kind = _inner(kind, part)
    return steps


class _Tagged:
    """A union whose members are told apart by the field `type`."""

    def __init__(self, members: tuple[Any, ...]) -> None:
        self.members = members

    def member(self, tag: str) -> Any:
        return next(
            (m for m in self.members if tag in get_args(m.model_fields["type"].annotation)), None
        )


def _bare(kind: Any) -> Any:
    """The type without Annotated and without `| None`."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        members = tuple(_bare(member) for member in get_args(kind) if member is not type(None))
        return members[0] if len(members) == 1 else _Tagged(members)
    return kind


def _inner(kind: Any, part: int | str) -> Any:
    if _is_model(kind):
        field = kind.model_fields.get(part)
        return field.annotation if field else None
    if get_origin(kind) in (list, dict):
        return get_args(kind)[-1]
    return None


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


# --- sentences ------------------------------------------------------------------------------------


def _sentence(model: type[BaseModel], error: ErrorDetails, path: Path, document: Document) -> str:
    if error["type"] == "extra_forbidden":
        return _unknown_key(model, error, document)
    value = path[-1] if error["loc"][-1:] == ("[key]",) else document.get(path)
    describe = _SENTENCES.get(error["type"])
    if describe is None:
        message = error["msg"]
        return message[:1].lower() + message[1:]
    return describe(error.get("ctx", {}), value)


def _unknown_key(model: type[BaseModel], error: ErrorDetails, document: Document) -> str:
    key, holder = _walk(model, error["loc"], document.data)[-1]
    known = set(holder.model_fields) if holder else set()
    close = suggestion(str(key), known)
    return f"unknown key{close or f'; valid are {listing(known)}'}"


def _one_of(context: dict[str, Any], value: Any) -> str:
    expected = context.get("expected") or context["expected_tags"]
    known = [name.strip(" '") for name in expected.replace(" or ", ", ").split(",")]
    given = value.get("type") if isinstance(value, dict) else value
    close = suggestion(str(given), known) if isinstance(given, str) else ""
    return f"must be one of {listing(known)}, not {shown(given)}{close}"


def _pattern(context: dict[str, Any], value: Any) -> str:
    what = WORDS.get(context["pattern"], f"must match {context['pattern']}")
    return f"{what}, not {shown(value)}"


def _kind(wanted: str) -> Callable[[dict[str, Any], Any], str]:
    return lambda _, value: f"must be {wanted}, not {_kind_name(value)}"


def _table(_: dict[str, Any], value: Any) -> str:
    if value is False:
        return "must be a table, not false; to do without, leave it out"
    return f"must be a table, not {_kind_name(value)}"


def _bound(words: str, limit: str) -> Callable[[dict[str, Any], Any], str]:
    return lambda context, value: f"must be {words} {context[limit]:.15g}, not {shown(value)}"


def _too_short(context: dict[str, Any], value: Any) -> str:
    least = context["min_length"]
    return "must not be empty" if least == 1 else f"needs at least {least} characters"


def _kind_name(value: Any) -> str:
    """The kind of a value, never the value: it may be a secret."""
    kinds = {bool: "true or false", str: "a string", list: "an array", dict: "a table"}
    return kinds.get(type(value), "a number" if isinstance(value, int | float) else "this value")


_SENTENCES: dict[str, Callable[[dict[str, Any], Any], str]] = {
    "missing": lambda context, value: "is missing, and has no default",
    "value_error": lambda context, value: str(context["error"]),
    "literal_error": _one_of,
    "union_tag_invalid": _one_of,
    "union_tag_not_found": lambda context, value: 'is missing its "type"',
    "string_pattern_mismatch": _pattern,
    "string_type": _kind("a string"),
    "int_type": _kind("a whole number"),
    "float_type": _kind("a number"),
    "bool_type": _kind("true or false"),
    "list_type": _kind("an array"),
    "dict_type": _kind("a table"),
    "model_type": _table,
    "model_attributes_type": _table,
    "greater_than": _bound("more than", "gt"),
    "greater_than_equal": _bound("at least", "ge"),
    "less_than_equal": _bound("at most", "le"),
    "less_than": _bound("less than", "lt"),
    "too_short": _too_short,
    "string_too_short": _too_short,
}
