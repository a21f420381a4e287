"""What a route answers itself: redirects, fixed answers, maintenance.

The gateway has them as filters, the load balancer as keys of a route. The contract of the plan is
`native/crates/filter/src/plan.rs`; fields without a description mean what they mean there.
"""

import mimetypes
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from trunkline.core.config.http import (
    HeaderValue,
    HeaderValues,
    RegexRewrite,
    Status,
    Token,
    check_path_keys,
)
from trunkline.core.config.models import Model, UrlPath, in_plan
from trunkline.core.config.values import Networks, WholeSeconds, shown

Port = Annotated[int, Field(ge=1, le=65_535)]
_REDIRECTS = (301, 302, 303, 307, 308)
# An answer is put together in memory, for each request anew.
MOST_PAGE_BYTES = 1 << 20


def _redirect_status(status: int) -> int:
    if status not in _REDIRECTS:
        raise ValueError(f"must be 301, 302, 303, 307 or 308, not {status}")
    return status


RedirectStatus = Annotated[
    int, AfterValidator(_redirect_status), WithJsonSchema({"enum": list(_REDIRECTS)})
]


class Redirect(Model):
    """Sends the client to another URL; what is not named stays. Texts may hold `{parameters}`."""

    status: RedirectStatus | None = None
    """301 and 308 are for good, 307 and 308 keep the method; default 302."""
    scheme: Literal["http", "https"] | None = None
    host: HeaderValue | None = None
    port: Port | None = None
    """Default: the request's if host and scheme stay, else the scheme's own."""
    path: UrlPath | None = None
    """The whole new path."""
    strip_prefix: UrlPath | None = None
    """Taken off the front of the path; not with `path`."""
    add_prefix: UrlPath | None = None
    """Put before the path; not with `path`."""
    regex: RegexRewrite | None = None
    """Replaced in the path; not with the three above."""
    keep_query: bool | None = None
    """Default true."""

    @model_validator(mode="after")
    def _one_path(self) -> "Redirect":
        check_path_keys(self)
        return self

    def templates(self) -> dict[tuple[str, ...], str]:
        """Every text that may hold parameters, but for `regex`, by its keys below this table."""
        fields = {"host": self.host, "path": self.path}
        return {(key,): text for key, text in fields.items() if text}


class HttpsRedirect(Model):
    """Sends plain requests to the same URL with https; `true` alone means the defaults."""

    status: RedirectStatus = 308
    """Default 308."""
    port: Port | None = None
    """Default 443."""

    def to_plan(self) -> dict[str, Any]:
        """As a redirect."""
        return {"scheme": "https", "status": self.status, **super().to_plan()}


class Respond(Model):
    """A fixed answer."""

    status: Status = 200
    """Default 200."""
    headers: dict[Token, HeaderValues] = Field(default_factory=dict)
    content_type: HeaderValue | None = None
    """Default: what the name of `body_file` says, else text/plain in UTF-8."""
    body: str | None = None
    body_file: str | None = None
    """A text file, relative to the configuration's folder; read when that is loaded."""

    @model_validator(mode="after")
    def _one_body(self) -> "Respond":
        if self.body is not None and self.body_file is not None:
            raise ValueError('has "body" and "body_file"; keep one')
        return self

    def to_plan_in(self, folder: FilePath) -> dict[str, Any]:
        """The whole answer, its file read.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is not text, or too large.
        """
        headers = [(name, value) for name, values in self.headers.items() for value in values]
        if content_type := self.content_type or guessed_type(self.body_file):
            headers.append(("Content-Type", content_type))
        body = read_page(folder, self.body_file) if self.body_file else self.body or ""
        return {"status": self.status, "headers": headers, "body": body}


class Maintenance(Model):
    """503 for everyone, but for those who look after it; `true` alone means the defaults."""

    enabled: bool | None = None
    """Default true; false keeps the rest for the next time."""
    allow: Networks | None = None
    """Who passes; default nobody."""
    retry_after: WholeSeconds | None = in_plan("retry_after_s")
    """When to come again; default: nothing is said."""
    page: str | None = None
    page_file: str | None = Field(default=None, exclude=True)
    """A text file, relative to the configuration's folder; read when that is loaded."""
    content_type: HeaderValue | None = None
    """Of the page; default HTML in UTF-8."""

    @model_validator(mode="after")
    def _one_page(self) -> "Maintenance":
        if self.page is not None and self.page_file is not None:
            raise ValueError('has "page" and "page_file"; keep one')
        return self

    def to_plan_in(self, folder: FilePath) -> dict[str, Any]:
        """With its file read.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is not text, or too large.
        """
        page = {"page": read_page(folder, self.page_file)} if self.page_file else {}
        return {**self.to_plan(), **page}


def read_page(folder: FilePath, name: str) -> str:
    """The text of a page.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not text, or larger than 1 MB.
    """
    content = (folder / name).read_bytes()
    if len(content) > MOST_PAGE_BYTES:
        raise ValueError(f"is larger than 1 MB; {shown(name)} should be served by a server")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ValueError("is not a text file") from None


def guessed_type(name: str | None) -> str | None:
    """The media type that a file's name tells; texts are UTF-8."""
    found = mimetypes.guess_type(name)[0] if name else None
    return f"{found}; charset=utf-8" if found and found.startswith("text/") else found
