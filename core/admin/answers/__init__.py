"""What the admin API answers, field by field: for `/openapi.json`, and for the tests to compare.

Answers come from the engine as JSON and are passed on as they are; nothing is validated on the way.
Counters run from the start of the process and over all worker threads. A field that ends in `_ms`
is in milliseconds, in `_s` in seconds, in `_unix_ns` in nanoseconds since 1970; the others of time
(`at`, `found_at`, `not_before`, …) are in seconds since 1970.
"""

from typing import Any

from trunkline.core.admin.answers.base import Answer, Concurrency, Latency
from trunkline.core.admin.answers.guards import Breaker, Certificate, Limiter
from trunkline.core.admin.answers.process import (
    LastReload,
    Problem,
    Process,
    Reloaded,
    Status,
    Upgraded,
)
from trunkline.core.admin.answers.refusals import Failure, Refused, Unauthorized, UpgradeRefused
from trunkline.core.admin.answers.servers import Discovered, Ejection, Pool, Server, Tries
from trunkline.core.admin.answers.traffic import BodyBytes, Listener, RecentError, Route, Side

__all__ = [
    "EXPLANATION",
    "Answer",
    "BodyBytes",
    "Breaker",
    "Certificate",
    "Concurrency",
    "Discovered",
    "Ejection",
    "Explanation",
    "Failure",
    "LastReload",
    "Latency",
    "Limiter",
    "Listener",
    "Pool",
    "Problem",
    "Process",
    "RecentError",
    "Refused",
    "Reloaded",
    "Route",
    "Server",
    "Side",
    "Status",
    "Tries",
    "Unauthorized",
    "UpgradeRefused",
    "Upgraded",
]

Explanation = dict[str, Any]
EXPLANATION = (
    "`listener`; `route` and which it `outranked`; `near_misses` with what failed of each; "
    "`refused` with status and reason, if it would be; else `client`, what each of the `filters` "
    "says, `pool`, `servers` and the `server` it would go to."
)
