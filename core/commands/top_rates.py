"""What happened between two looks at the status: counters become rates, sums become means."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Look:
    """The status at a moment.

    Attributes:
        at_s: On any clock that only goes forward.
        status: As `GET /status` answers.
    """

    at_s: float
    status: Entry


class Span:
    """From one look to the next.

    Counters begin anew with each process and with what is new in a configuration: where there is
    no earlier count of the same thing, there is no rate.
    """

    def __init__(self, before: Look, after: Look) -> None:
        self.after = after.status
        self._seconds = max(after.at_s - before.at_s, 1e-3)
        is_same = before.status["started_unix_ns"] == after.status["started_unix_ns"]
        self._before: Entry = before.status if is_same else {}

    def earlier(self, kind: str, entry: Entry) -> Entry | None:
        """The same listener, route or pool in the first look."""
        return _named(self._before.get(kind, []), entry["name"])

    def earlier_server(self, pool: Entry, server: Entry) -> Entry | None:
        """The same server in the first look."""
        known = self.earlier("pools", pool)
        return _named(known["servers"], server["name"]) if known is not None else None

    def rate(self, before: Entry | None, after: Entry, *path: str) -> float | None:
        """By how much a counter grew in a second; None if it began anew."""
        grown = _grown(before, after, path)
        return None if grown is None else grown / self._seconds

    def mean_ms(self, before: Entry | None, after: Entry) -> float | None:
        """The mean of the latencies measured in between; None without any."""
        count = _grown(before, after, ("latency", "count"))
        total_ms = _grown(before, after, ("latency", "total_ms"))
        return total_ms / count if count and total_ms is not None else None


def _named(entries: list[Entry], name: str) -> Entry | None:
    return next((entry for entry in entries if entry["name"] == name), None)


def _grown(before: Entry | None, after: Entry, path: tuple[str, ...]) -> float | None:
    if before is None:
        return None
    grown = _count(after, path) - _count(before, path)
    return grown if grown >= 0 else None


def _count(entry: Any, path: tuple[str, ...]) -> float:
    """A counter in nested tables, where what has not happened is left out; a table is its sum."""
    for part in path:
        entry = entry.get(part, 0) if isinstance(entry, dict) else 0
    return float(sum(entry.values()) if isinstance(entry, dict) else entry)
