"""Traffic management: splits, mirrors, hedging, compression, concurrency limits, sticky cookies.

`RouteTraffic` is what a route may have of it, `PoolTraffic` what a pool may. The contracts of the
plan are `native/crates/{traffic,compress,concurrency,filter}/src/plan.rs`; fields without a
description mean what they mean there, and defaults stand there alone.
"""

from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, model_validator

from trunkline.core.config import patterns
from trunkline.core.config.http import HeaderValue, Token
from trunkline.core.config.models import Count, Model, Positive, UrlPath, in_plan
from trunkline.core.config.values import Duration, Short, Size, WholeSeconds, one_or_more

SplitKey = Annotated[str, Field(pattern=patterns.SPLIT_KEY)]
MediaType = Annotated[str, Field(pattern=patterns.MEDIA_TYPE)]
Coding = Literal["zstd", "br", "gzip"]
# As for HS256 (RFC 7518 §3.2).
SHORTEST_KEY = 32


class Share(Model):
    """One side of a split."""

    pool: str
    weight: Count
    """Its part of the sum of all weights; 0 = none."""


class Mirror(Model):
    """Copies requests to another pool; its answers are thrown away and nobody waits for them."""

    pool: str
    percent: Annotated[float, Field(ge=0, le=100)] | None = None
    """Default 100."""


class Hedge(Model):
    """A second try beside one that is slow; the first answer wins."""

    after: Duration = Field(serialization_alias="after_ms", gt=0)
    """Without an answer for so long; the next one as long after that."""
    attempts: Annotated[int, Field(ge=2, le=5)] | None = None
    """Tries in all; default 2."""


class Levels(Model):
    """How hard the encoders try."""

    gzip: Annotated[int, Field(ge=1, le=9)] | None = None
    """Default 5."""
    br: Annotated[int, Field(ge=1, le=6)] | None = None
    """Default 3."""
    zstd: Annotated[int, Field(ge=1, le=8)] | None = None
    """Default 3."""


class Compression(Model):
    """Compresses responses; `true` alone means the defaults."""

    codings: Annotated[list[Coding], one_or_more(Coding), Field(min_length=1)] | None = None
    """Best first; default zstd, br, gzip."""
    types: Annotated[list[MediaType], one_or_more(MediaType)] | None = None
    """`text/html`, `text/*` or `*+json`; default texts, JSON, XML, JavaScript, WebAssembly, SVG."""
    min_size: Size | None = in_plan("min_bytes")
    """Smaller ones stay as they are; default 512B."""
    levels: Levels | None = None

    @model_validator(mode="after")
    def _each_once(self) -> "Compression":
        codings = self.codings or []
        if len(set(codings)) < len(codings):
            raise ValueError("codings: each may stand there once")
        return self


class Adaptive(Model):
    """The limit is found by measuring (Gradient2); `true` alone means the defaults."""

    min: Positive | None = None
    """Default 4."""
    initial: Positive | None = None
    """Default 20, or the bound that is nearer."""
    tolerance: Annotated[float, Field(ge=1)] | None = None
    """How much slower than usual is still usual; default 1.5."""
    smoothing: Annotated[float, Field(gt=0, le=1)] | None = None
    """Part of the way to a new limit that one window goes; default 0.2."""
    window: Annotated[Duration, Field(gt=0)] | None = in_plan("window_ms")
    """Default 1s."""


class Concurrency(Model):
    """How much may be under way at once, so that what is slow takes nothing from the rest."""

    max: Positive
    """The limit, or the highest that an adaptive one may reach."""
    adaptive: Annotated[Adaptive, Short] | None = None
    queue: Count | None = None
    """Requests that may wait for a place; default 0."""
    queue_timeout: Duration | None = in_plan("queue_timeout_ms")
    """Default 1s."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "Concurrency":
        if self.adaptive is None:
            return self
        least = self.adaptive.min or min(4, self.max)
        if not least <= (self.adaptive.initial or least) <= self.max:
            raise ValueError("adaptive: min, initial and max must be in this order")
        return self

    def to_plan(self) -> dict[str, Any]:
        """With a least limit that the highest allows."""
        plan = super().to_plan()
        if self.adaptive is not None and self.adaptive.min is None and self.max < 4:
            plan["adaptive"] = {**plan["adaptive"], "min": self.max}
        return plan


class Sticky(Model):
    """A signed cookie keeps each client at its server."""

    name: Token | None = None
    """The cookie's; default trunkline."""
    key: Annotated[SecretStr, Field(min_length=SHORTEST_KEY)] | None = None
    """Signs the cookie; at least 32 characters, the same on every host."""
    key_file: str | None = None
    """A file with a key on each line, relative to the configuration's folder: the first one signs,
    all are believed."""
    max_age: WholeSeconds | None = in_plan("max_age_s")
    """Default 0s: until the browser closes."""
    path: UrlPath | None = None
    """Default /."""
    domain: HeaderValue | None = None
    http_only: bool | None = None
    """Default true."""
    secure: bool | None = None
    """Default: if the request came by TLS."""
    same_site: Literal["strict", "lax", "none"] | None = None
    """Default lax."""

    @model_validator(mode="after")
    def _one_key(self) -> "Sticky":
        if (self.key is None) == (self.key_file is None):
            raise ValueError("needs exactly one of key, key_file")
        if self.same_site == "none" and self.secure is False:
            raise ValueError('same_site = "none" needs secure: browsers refuse it without')
        return self

    def to_plan_in(self, folder: FilePath) -> dict[str, Any]:
        """With the keys of its file.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is not text, has no key, or one that is too short.
        """
        fields = {key: value for key, value in self.to_plan().items() if not key.startswith("key")}
        keys = [self.key] if self.key is not None else _keys(folder / (self.key_file or ""))
        return {**fields, "keys": keys}


def _keys(file: FilePath) -> list[SecretStr]:
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError:
        raise ValueError("is not a text file") from None
    keys = [line.strip() for line in lines if line.strip()]
    if not keys or any(len(key.encode()) < SHORTEST_KEY for key in keys):
        raise ValueError(f"needs a key of at least {SHORTEST_KEY} characters on each line")
    return [SecretStr(key) for key in keys]


class RouteTraffic(Model):
    """What a route may have of all this."""

    split: Annotated[list[Share], Field(min_length=1)] | None = None
    """Pools and their weights, in place of `pool`."""
    split_by: SplitKey | None = None
    """One client always gets the same side: ip, header:NAME or cookie:NAME; default: by turns."""
    mirror: Mirror | None = None
    hedge: Hedge | None = None
    compression: Annotated[Compression, Short] | None = None
    concurrency: Concurrency | None = None

    @model_validator(mode="after")
    def _sound_split(self) -> "RouteTraffic":
        pools = [share.pool for share in self.split or []]
        if self.split is not None and not any(share.weight for share in self.split):
            raise ValueError("split: needs a weight above 0")
        if len(set(pools)) < len(pools):
            raise ValueError("split: a pool stands there twice; add the weights")
        if self.split_by is not None and self.split is None:
            raise ValueError("split_by does nothing without split")
        return self

    def traffic_to_plan(self, role: str) -> dict[str, Any]:
        """The keys that were written; pools are named `role.pool`."""
        parts = ("mirror", "hedge", "compression", "concurrency")
        written = {name: getattr(self, name) for name in parts if getattr(self, name) is not None}
        plan = {name: part.to_plan() for name, part in written.items()}
        if self.mirror is not None:
            plan["mirror"]["pool"] = f"{role}.{self.mirror.pool}"
        if self.split is not None:
            plan["split"] = [{**s.to_plan(), "pool": f"{role}.{s.pool}"} for s in self.split]
        return plan | ({"split_by": self.split_by} if self.split_by else {})


class PoolTraffic(Model):
    """What a pool may have of it."""

    sticky: Sticky | None = None
    concurrency: Concurrency | None = None
    """All its requests together; besides the limits of its servers."""
