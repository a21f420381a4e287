"""The steps of an API's chain, as they are written.

The contract of the plan is `native/crates/filter/src/plan.rs`; fields without a description mean
what they mean there. Filters run in the order of their list; on the way back in reverse.
"""

from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, model_validator

from trunkline.core.config import answers, patterns
from trunkline.core.config.http import HeaderEdits, HeaderValue, Methods, Status, Token, Tokens
from trunkline.core.config.models import Model, Name, Positive, Ratio, in_plan
from trunkline.core.config.values import (
    Duration,
    Networks,
    Size,
    SomeNetworks,
    SomeStrings,
    StatusRange,
    Strings,
    WholeSeconds,
)

LimitKey = Annotated[str, Field(pattern=patterns.LIMIT_KEY)]
LimitAlgorithm = Literal[
    "token_bucket", "leaky_bucket", "leaky_queue", "fixed_window", "sliding_window", "gcra"
]
Cost = Annotated[int, Field(ge=1, lt=2**63)]


class RequestId(Model):
    """Sends X-Request-Id up and down."""

    type: Literal["request_id"]
    trust: bool | None = None
    """Take the client's, if it sent one; default false."""


class IpAccess(Model):
    """403 by the client's address."""

    type: Literal["ip_access"]
    allow: SomeNetworks | None = None
    """If given, all others are refused."""
    deny: Networks | None = None
    """Wins over `allow`."""

    @model_validator(mode="after")
    def _says_something(self) -> "IpAccess":
        if not self.allow and not self.deny:
            raise ValueError('decides nothing; give it "allow" or "deny"')
        return self


class Cors(Model):
    """Cross-origin requests (Fetch standard); answers preflights itself."""

    type: Literal["cors"]
    origins: Strings
    """Exact origins, `*`, or `https://*.example.com`."""
    methods: Methods | None = None
    headers: Tokens | None = None
    expose: Tokens | None = None
    credentials: bool | None = None
    """Default false; not with the origin `*`."""
    max_age: WholeSeconds | None = in_plan("max_age_s")

    @model_validator(mode="after")
    def _no_credentials_for_all(self) -> "Cors":
        if self.credentials and "*" in self.origins:
            raise ValueError('credentials = true does not go with the origin "*"; name the origins')
        return self


class ApiKey(Model):
    """401 without the key of a consumer."""

    type: Literal["api_key"]
    header: Token | None = None
    """Default X-API-Key, unless `query` is given."""
    query: str | None = None
    """A query parameter that carries the key."""
    consumers: SomeStrings | None = None
    """Who may pass; default: every consumer."""
    forward: bool | None = None
    """Send the key on to the server; default false."""

    def to_plan(self) -> dict[str, Any]:
        """With the default header."""
        default = {} if self.header or self.query else {"header": "X-API-Key"}
        return {**super().to_plan(), **default}


class Jwt(Model):
    """401 without a valid JSON Web Token (RFC 7519) as bearer."""

    type: Literal["jwt"]
    algorithms: Annotated[list[Literal["HS256", "RS256", "ES256"]], Field(min_length=1)]
    """Which may be used; what the token says alone is never believed."""
    secret: SecretStr | None = None
    """For HS256."""
    public_key_file: str | None = Field(default=None, exclude=True)
    """PEM, for RS256 or ES256; relative to the configuration's folder."""
    jwks_file: str | None = Field(default=None, exclude=True)
    """A JSON Web Key Set (RFC 7517); relative to the configuration's folder."""
    issuer: str | None = None
    audience: str | None = None
    leeway: WholeSeconds | None = in_plan("leeway_s")
    """Tolerance for clocks; default 0s."""
    consumer_claim: str | None = None
    """Names the consumer; default sub."""
    forward: bool | None = None
    """Send the token on to the server; default true."""

    @model_validator(mode="after")
    def _one_key(self) -> "Jwt":
        sources = self.model_fields_set & {"secret", "public_key_file", "jwks_file"}
        if len(sources) != 1:
            raise ValueError("needs exactly one of secret, public_key_file, jwks_file")
        if "secret" in sources and self.algorithms != ["HS256"]:
            raise ValueError('a secret goes with algorithms = ["HS256"] only')
        if "public_key_file" in sources and "HS256" in self.algorithms:
            raise ValueError("a public key must not verify HS256: anybody could sign with it")
        return self

    def key_to_plan(self, folder: FilePath) -> dict[str, str]:
        """The text of the key file.

        Raises:
            OSError: It cannot be read.
            UnicodeDecodeError: It is not text.
        """
        if self.public_key_file is not None:
            return {"public_key": (folder / self.public_key_file).read_text(encoding="utf-8")}
        if self.jwks_file is not None:
            return {"jwks": (folder / self.jwks_file).read_text(encoding="utf-8")}
        return {}


class RateLimit(Model):
    """429 for a key that asks too often."""

    type: Literal["rate_limit"]
    name: Name | None = None
    """Limits of one name share their counts; default: its key in the file."""
    key: LimitKey
    """ip, consumer, api (one count for the API) or header:NAME."""
    algorithm: LimitAlgorithm = "token_bucket"
    """Default token_bucket."""
    limit: Cost
    """Requests in each period."""
    period: Duration = Field(serialization_alias="period_ms")
    burst: Cost | None = None
    """How many at once; default: the limit."""
    cost: Cost | None = None
    """What a request counts; default 1."""
    capacity: Positive | None = None
    """Keys remembered at once; default 100000."""
    headers: bool | None = None
    """Send RateLimit and RateLimit-Policy; default true."""

    def to_plan(self) -> dict[str, Any]:
        """With the algorithm, which the plan has no default for."""
        return {**super().to_plan(), "algorithm": self.algorithm}


class Fallback(Model):
    """A fixed answer."""

    status: Status = 503
    headers: dict[Token, HeaderValue] = Field(default_factory=dict)
    body: str = ""


class CircuitBreaker(Model):
    """Stops calling a back end that fails, for a while."""

    type: Literal["circuit_breaker"]
    name: Name | None = None
    """Breakers of one name share their state; default: its key in the file."""
    consecutive_failures: Positive | None = None
    """Opens after so many failures in a row."""
    failure_ratio: Ratio | None = None
    """Opens when this share of the window's calls failed."""
    slow_ratio: Ratio | None = None
    """Opens when this share of the window's calls took longer than `slow`."""
    slow: Duration | None = in_plan("slow_ms")
    window: Duration | None = in_plan("window_ms")
    """Default 10s."""
    min_calls: Positive | None = None
    """Calls in the window before a ratio counts; default 20."""
    open: Duration | None = in_plan("open_ms")
    """How long it refuses before it probes; default 5s."""
    probes: Positive | None = None
    """Calls let through while it probes; default 3."""
    failures: list[StatusRange] | None = None
    """Statuses that are failures; default 500 to 599. No answer always is one."""
    fallback: Fallback | None = None
    """The answer while open; default 503."""

    @model_validator(mode="after")
    def _can_open(self) -> "CircuitBreaker":
        if (self.slow_ratio is None) != (self.slow is None):
            raise ValueError("slow_ratio and slow go together; give both or none")
        if not self.model_fields_set & {"consecutive_failures", "failure_ratio", "slow_ratio"}:
            raise ValueError(
                "would never open; give it consecutive_failures, failure_ratio or slow_ratio"
            )
        return self

    def to_plan(self) -> dict[str, Any]:
        """The fallback complete, its headers as pairs."""
        plan = super().to_plan()
        if self.fallback is not None:
            headers = list(self.fallback.headers.items())
            plan["fallback"] = {**self.fallback.model_dump(), "headers": headers}
        return plan


class Headers(Model):
    """Edits header lines on the way up and down; values may hold `{parameters}`."""

    type: Literal["headers"]
    request: HeaderEdits | None = None
    response: HeaderEdits | None = None

    def to_plan(self) -> dict[str, Any]:
        """Edits as pairs."""
        edits = {"request": self.request, "response": self.response}
        return {"type": self.type} | {key: edit.to_plan() for key, edit in edits.items() if edit}


class Redirect(answers.Redirect):
    """Sends the client to another URL; what is not named stays. Texts may hold `{parameters}`."""

    type: Literal["redirect"]

    @model_validator(mode="after")
    def _leads_elsewhere(self) -> "Redirect":
        if self.model_fields_set <= {"type", "status"}:
            raise ValueError("leads nowhere else; give it scheme, host, port or path")
        return self


class HttpsRedirect(answers.HttpsRedirect):
    """Sends plain requests to the same URL with https."""

    type: Literal["https_redirect"]

    def to_plan(self) -> dict[str, Any]:
        """As a redirect."""
        return {**super().to_plan(), "type": "redirect"}


class Respond(answers.Respond):
    """A fixed answer; nothing behind it is reached."""

    type: Literal["respond"]


class Maintenance(answers.Maintenance):
    """503 for everyone, but for those who look after it."""

    type: Literal["maintenance"]


class SizeLimit(Model):
    """413 or 431 for what is too big."""

    type: Literal["size_limit"]
    body: Size | None = in_plan("body_bytes")
    """0B = no limit; default 0B."""
    head: Size | None = in_plan("head_bytes")
    """0B = no limit; default 0B."""


Filter = Annotated[
    RequestId
    | IpAccess
    | Cors
    | ApiKey
    | Jwt
    | RateLimit
    | CircuitBreaker
    | Headers
    | Redirect
    | HttpsRedirect
    | Respond
    | Maintenance
    | SizeLimit,
    Field(discriminator="type"),
]
# What may answer instead of a server.
ANSWERS = (Redirect, HttpsRedirect, Respond, Maintenance)
