"""What is said in HTTP's own terms: methods, hosts, headers, which requests match, how they change.

Texts that may hold `{id}` are templates of the plan (`native/crates/filter/src/plan.rs`).
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from trunkline.core.config import patterns
from trunkline.core.config.models import Model, UrlPath
from trunkline.core.config.values import Strings, one_or_more

Token = Annotated[str, StringConstraints(pattern=patterns.TOKEN)]
Tokens = Annotated[list[Token], one_or_more(Token)]
# RFC 9110 §9.3 and RFC 5789; others may be written in any case.
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}


def _as_sent(method: str) -> str:
    upper = method.upper()
    if method != upper and upper in _METHODS:
        raise ValueError(f'methods are case-sensitive (RFC 9110 §9.1): write "{upper}"')
    return method


Method = Annotated[Token, AfterValidator(_as_sent)]
Methods = Annotated[list[Method], one_or_more(Method)]
HostPattern = Annotated[str, StringConstraints(to_lower=True, pattern=patterns.HOST)]
# None written means every host, as with methods: an empty list would mean the same, and look as if
# it meant none.
HostPatterns = Annotated[list[HostPattern], Field(min_length=1), one_or_more(HostPattern, least=1)]
SomeMethods = Annotated[list[Method], Field(min_length=1), one_or_more(Method, least=1)]
HeaderValue = Annotated[str, StringConstraints(pattern=patterns.HEADER_VALUE)]
HeaderValues = Annotated[list[HeaderValue], one_or_more(HeaderValue)]
Status = Annotated[int, Field(ge=100, le=599)]

_PARAMETER = re.compile(r"\{([^{}]*)\}")
# What templates may name besides a path parameter.
_REQUEST_FIELDS = {"client_ip", "host", "method", "path", "scheme", "consumer", "request_id"}


class Predicate(Model):
    """A condition on a header, query parameter or cookie; a plain string means `{ equals = … }`."""

    present: bool | None = None
    equals: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    contains: str | None = None
    regex: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Predicate":
        if len(self.model_fields_set) != 1:
            raise ValueError(f"must have exactly one of {', '.join(type(self).model_fields)}")
        return self


def _predicate(value: Any) -> Any:
    return {"equals": value} if isinstance(value, str) else value


AnyPredicate = Annotated[
    Predicate, BeforeValidator(_predicate, json_schema_input_type=str | Predicate)
]


class Match(Model):
    """Which requests a route takes: all that is given must hold."""

    host: HostPatterns | None = None
    """`"shop.example"`, `"*.shop.example"`, or a list; default: every host."""
    path: UrlPath | None = None
    """The exact path, or a template if it has `{parameters}`."""
    prefix: UrlPath | None = None
    """The first segments of the path."""
    regex: str | None = None
    """A regular expression for the whole path; tried after all others."""
    methods: SomeMethods | None = None
    """Default: every method."""
    headers: dict[Token, AnyPredicate] | None = None
    query: dict[str, AnyPredicate] | None = None
    cookies: dict[Token, AnyPredicate] | None = None
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] | None = None
    """Higher is tried first, before all other rules; default 0."""

    @model_validator(mode="after")
    def _one_path(self) -> "Match":
        given = self.model_fields_set & {"path", "prefix", "regex"}
        if len(given) > 1:
            raise ValueError(f"has {' and '.join(sorted(given))}; keep one")
        return self

    @property
    def path_key(self) -> str:
        """Which of path, prefix and regex was written; path if none."""
        return next(iter(self.model_fields_set & {"path", "prefix", "regex"}), "path")

    def path_to_plan(self) -> dict[str, str]:
        """The plan's path pattern; everything if none was written."""
        if self.regex is not None:
            return {"kind": "regex", "value": self.regex}
        if self.path is None:
            return {"kind": "prefix", "value": self.prefix or "/"}
        return {"kind": "template" if "{" in self.path else "exact", "value": self.path}

    def parameters(self) -> set[str]:
        """Names that the path binds for templates, `*` of `{*rest}` not included."""
        if self.regex is not None:
            return group_names(self.regex)
        return {name.lstrip("*") for name in _PARAMETER.findall(self.path or "")}


def _without_braces(template: str) -> str:
    """A template without `{{` and `}}`, which stand for braces."""
    return template.replace("{{", "").replace("}}", "")


def group_names(pattern: str) -> set[str]:
    """Names of a regular expression's groups."""
    return set(re.findall(r"\(\?P?<(\w+)>", pattern))


def check_path_keys(model: Model) -> None:
    """Refuse two ways to write one path.

    Raises:
        ValueError: It has `path` or `regex` and another.
    """
    given = sorted(model.model_fields_set & {"path", "regex", "strip_prefix", "add_prefix"})
    for alone in ("path", "regex"):
        if alone in given and len(given) > 1:
            others = " and ".join(key for key in given if key != alone)
            raise ValueError(f"has {alone} and {others}; {alone} stands alone")


def unknown_parameters(template: str, parameters: set[str]) -> list[str]:
    """Names in `{braces}` that neither the path nor the request can fill."""
    return [
        name
        for name in _PARAMETER.findall(_without_braces(template))
        if name not in parameters | _REQUEST_FIELDS and not name.startswith(("query.", "header."))
    ]


class HeaderEdits(Model):
    """Changes of header lines, in this order."""

    remove: Tokens = Field(default_factory=list)
    set: dict[Token, HeaderValue] = Field(default_factory=dict)
    """Replaces what is there."""
    add: dict[Token, HeaderValues] = Field(default_factory=dict)
    """Appends further lines."""

    def to_plan(self) -> dict[str, Any]:
        """Pairs in place of tables, as the plan wants them."""
        added = [(name, value) for name, values in self.add.items() for value in values]
        edits = {"remove": self.remove, "set": list(self.set.items()), "add": added}
        return {key: value for key, value in edits.items() if value}


class QueryEdits(Model):
    """Changes of the query string, in this order."""

    clear: bool = False
    """Drop what the client sent; default false."""
    remove: Strings = Field(default_factory=list)
    set: dict[str, str] = Field(default_factory=dict)

    def to_plan(self) -> dict[str, Any]:
        """Pairs in place of tables, as the plan wants them."""
        edits = {"clear": self.clear, "remove": self.remove, "set": list(self.set.items())}
        return {key: value for key, value in edits.items() if value}


class RegexRewrite(Model):
    """Replaces the first match in the path."""

    pattern: str
    """A regular expression; it matches anywhere unless it says `^` and `$`."""
    replace: str
    """May hold `{1}`, `{name}` of a group, and what every template may."""

    def parameters(self) -> set[str]:
        """What the groups bind: their numbers and names."""
        numbers = {str(number) for number in range(self.pattern.count("(") + 1)}
        return numbers | group_names(self.pattern)


class Rewrite(Model):
    """How the request to the server differs from the client's. Values may hold `{parameters}`."""

    method: Method | None = None
    """Not HEAD or CONNECT: their responses cannot answer another method."""
    path: UrlPath | None = None
    """The whole new path."""
    strip_prefix: UrlPath | None = None
    """Taken off the front of the path; not with `path`."""
    add_prefix: UrlPath | None = None
    """Put before the path; not with `path`."""
    regex: RegexRewrite | None = None
    """Replaced in the path; not with the three above."""
    host: HeaderValue | None = None
    """The Host header; default: the client's."""
    headers: HeaderEdits | None = None
    query: QueryEdits | None = None

    @model_validator(mode="after")
    def _path_alone(self) -> "Rewrite":
        check_path_keys(self)
        return self

    def to_plan(self) -> dict[str, Any]:
        """The fields that were written, edits as pairs."""
        plan = self.model_dump(by_alias=True, exclude_unset=True, exclude={"headers", "query"})
        plan |= {"headers": self.headers.to_plan()} if self.headers else {}
        return plan | ({"query": self.query.to_plan()} if self.query else {})

    def templates(self) -> dict[tuple[str, ...], str]:
        """Every text that may hold parameters, but for `regex`, by its keys below this table."""
        fields = {"path": self.path, "add_prefix": self.add_prefix, "host": self.host}
        found: dict[tuple[str, ...], str] = {(key,): text for key, text in fields.items() if text}
        if self.headers:
            found |= {("headers", "set", name): text for name, text in self.headers.set.items()}
            for name, texts in self.headers.add.items():
                found[("headers", "add", name)] = " ".join(texts)
        if self.query:
            found |= {("query", "set", name): text for name, text in self.query.set.items()}
        return found
