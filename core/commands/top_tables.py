"""The tables of `trunkline top`."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trunkline.core.commands.top_rates import Entry, Span

# States in which a server gets requests as usual.
_WELL = {"eligible", "warming", "standby"}
_SCALES = ("", "k", "M", "G")
_LATEST = 5


def everything(span: Span, *, routes: int) -> Group:
    """All tables.

    Args:
        span: From one look to the next.
        routes: Show so many of the busiest routes.
    """
    parts: list[RenderableType] = [headline(span.after), "", _listeners(span), ""]
    for pool in span.after["pools"]:
        parts += [_servers(span, pool), ""]
    parts += [_routes(span, routes), "", _failures(span.after["recent_errors"])]
    return Group(*parts)


def headline(status: Entry) -> Text:
    """One line about the process."""
    process = status["process"]
    state = "draining" if process["draining"] else "ready" if process["ready"] else "not ready"
    return Text(
        f"trunkline {process['version']} · process {process['pid']} · {state} · "
        f"up {_duration(process['uptime_s'])} · configuration {status['generation']} · "
        f"{status['workers']} threads · {status['open_connections']} connections"
    )


def _listeners(span: Span) -> Table:
    table = _table("listener", "addresses", "open", "new/s", "requests/s", "failed/s")
    for listener in span.after["listeners"]:
        before = span.earlier("listeners", listener)
        table.add_row(
            listener["name"],
            ", ".join(listener["addresses"]),
            f"{listener['open_connections']} of {number(listener['connections_limit'])}",
            number(span.rate(before, listener, "accepted")),
            number(span.rate(before, listener, "requests")),
            number(span.rate(before, listener, "failures")),
        )
    return table


def _servers(span: Span, pool: Entry) -> Table:
    waiting = f", {pool['waiting']} waiting" if pool["waiting"] else ""
    table = _table(
        f"pool {pool['name']} ({pool['algorithm']}{waiting})",
        *("state", "weight", "active", "idle", "requests/s", "failed/s", "mean ms", "p99 ms"),
        "check",
    )
    for server in pool["servers"]:
        before = span.earlier_server(pool, server)
        table.add_row(
            server["name"],
            Text(server["state"], style="" if server["state"] in _WELL else "bold red"),
            str(server["weight"]),
            str(server["active"]),
            str(server["idle_connections"]),
            number(span.rate(before, server, "requests")),
            number(span.rate(before, server, "tries", "failures")),
            number(span.mean_ms(before, server)),
            number(server["latency"]["p99_ms"]),
            server["check"],
        )
    return table


def _routes(span: Span, most: int) -> Table:
    names = ("requests/s", "4xx/s", "5xx/s", "bytes/s", "mean ms", "p99 ms")
    found = [(span.earlier("routes", route), route) for route in span.after["routes"]]
    found.sort(key=lambda pair: -(span.rate(*pair, "requests") or 0))
    left = f" ({len(found) - most} less busy ones not shown)" if len(found) > most else ""
    table = _table(f"route{left}", *names)
    for before, route in found[:most]:
        table.add_row(
            route["name"],
            number(span.rate(before, route, "requests")),
            number(span.rate(before, route, "responses", "4xx")),
            number(span.rate(before, route, "responses", "5xx")),
            number(span.rate(before, route, "body_bytes", "response")),
            number(span.mean_ms(before, route)),
            number(route["latency"]["p99_ms"]),
        )
    return table


def _failures(errors: Sequence[Entry]) -> Table:
    table = _table("last failures", "reason", "status", "whose fault", "where")
    for error in errors[:_LATEST]:
        where = [error["listener"], error["route"], error["server"]]
        table.add_row(
            _clock(error["time_unix_ns"]),
            error["reason"],
            str(error["status"]),
            error["side"],
            " → ".join(part for part in where if part),
        )
    return table


def _table(first: str, *others: str) -> Table:
    """Columns of text at the left edge, those of numbers at their right one."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for name in others:
        is_number = name.endswith(("/s", " ms")) or name in {"open", "weight", "active", "idle"}
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number)
    return table


def number(value: float | None) -> str:
    """Three figures and a scale: `0.25`, `12.3`, `999`, `1.5k`; `-` if there is nothing to tell."""
    if value is None:
        return "-"
    for letter in _SCALES:
        # What three figures would round up to a thousand has the next letter.
        if value < 999.5:
            return f"{value:.3g}{letter}"
        value /= 1_000
    return f"{value:.3g}T"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units: Iterable[tuple[int, str]] = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"))
    shown = [f"{count}{unit}" for count, unit in units if count]
    return " ".join(shown[:2]) or "0s"


def _clock(unix_ns: Any) -> str:
    return f"{datetime.fromtimestamp(unix_ns / 1e9).astimezone():%H:%M:%S}"
