"""The markdown page of a run, and its verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

from loadtests.soak.flatness import (
    Flatness,
    Sample,
    descriptor_flatness,
    rss_flatness,
    second_half,
)
from loadtests.soak.ledger import Count, Disturbance, Ledger
from loadtests.soak.traffic import Kind

_SHOWN_PROBLEMS = 20
_METHOD = """\
Bounded traffic of every kind goes through two listeners, plain and TLS, of one trunkline with two
worker threads. It is reloaded every 3 s with another variant of its configuration, every fifth time
with a broken one that must be refused. Every 10 s a server is killed (SIGKILL), is missing for 3 s
and returns. Upgrades are spread over the first half. Every answer is compared with what its server
sends.

- A failure is **injected** if its servers are the mortal ones and one of them was missing, or if an
  upgrade closed a WebSocket at the end of the grace period. Any other failure fails the run.
- Memory and descriptors of the serving process are read every second. A straight line is fitted
  through those of the second half, in which the process stays the same; **growth** is its slope
  times its time. It may be 2 MiB or 2 % of the mean, and 8 descriptors or 3 %.

Source: `loadtests/soak`.
"""


@dataclass(frozen=True)
class Result:
    """What a run gave.

    Attributes:
        ledger: Counts and problems.
        samples: Of the whole run.
    """

    ledger: Ledger
    samples: Sequence[Sample]

    @property
    def fitted(self) -> list[Sample]:
        """Of the second half and the process that ended the run."""
        return [one for one in second_half(self.samples) if one.pid == self.samples[-1].pid]

    @property
    def rss(self) -> Flatness:
        """Of the fitted samples."""
        return rss_flatness(self.fitted)

    @property
    def descriptors(self) -> Flatness:
        """Of the fitted samples."""
        return descriptor_flatness(self.fitted)

    def passed(self, kinds: Sequence[Kind]) -> bool:
        """Flat, no problem, and every kind of traffic got through."""
        got_through = all(_count(self.ledger, kind).done for kind in kinds)
        is_flat = self.rss.is_flat and self.descriptors.is_flat
        return is_flat and got_through and not self.ledger.problems


def render(facts: dict[str, str], kinds: Sequence[Kind], result: Result) -> str:
    """The whole page."""
    passed = "passed" if result.passed(kinds) else "FAILED"
    facts = {**facts, "length": f"{result.samples[-1].time_s / 60:.1f} min", "result": passed}
    parts = ["# Soak", "\n".join(f"- {name}: {value}" for name, value in facts.items())]
    parts += ["## Memory and descriptors", _flatness_table(result)]
    parts += ["## Disturbances", _disturbance_table(result.ledger)]
    parts += ["## Traffic", _traffic_table(kinds, result.ledger)]
    parts += _problems(result.ledger.problems)
    return "\n\n".join([*parts, "## Method", _METHOD])


def _flatness_table(result: Result) -> str:
    rss, descriptors = result.rss, result.descriptors
    rows = [
        _flatness_row("resident memory, MiB", rss, 2**20, 2),
        _flatness_row("descriptors", descriptors, 1, 1),
    ]
    span_s = result.fitted[-1].time_s - result.fitted[0].time_s
    title = f"growth over the last {span_s / 60:.1f} min"
    return _table(["figure", "mean", title, "allowed", "flat"], rows)


def _flatness_row(name: str, flatness: Flatness, unit: float, digits: int) -> list[str]:
    values = (flatness.mean, flatness.growth, flatness.bound)
    cells = [f"{value / unit:.{digits}f}" for value in values]
    return [name, *cells, "yes" if flatness.is_flat else "no"]


def _disturbance_table(ledger: Ledger) -> str:
    rows = [[kind.value, str(ledger.disturbances[kind])] for kind in Disturbance]
    return _table(["what", "how often"], rows)


def _traffic_table(kinds: Sequence[Kind], ledger: Ledger) -> str:
    rows = []
    for kind in kinds:
        count = _count(ledger, kind)
        counts = (kind.users, count.done, count.injected, count.failed)
        rows.append([kind.name, *map(str, counts)])
    return _table(["kind", "users", "exchanges", "injected failures", "failures"], rows)


def _problems(problems: Sequence[str]) -> list[str]:
    if not problems:
        return []
    shown = "\n".join(f"- {problem}" for problem in problems[:_SHOWN_PROBLEMS])
    return [f"## Problems: {len(problems)}", shown]


def _count(ledger: Ledger, kind: Kind) -> Count:
    return ledger.counts.get(kind.name, Count())


def _table(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
