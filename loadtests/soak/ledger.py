"""What happened: counts by kind of traffic, and which failures were made to happen.

A disturbance (a server's death, an upgrade) is open for a span of time. A failure counts as
injected if its kind of traffic is exposed to the disturbance and its time overlaps a span; every
other failure is the result of the run. No clock: ``now`` is seconds of a monotonic clock.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Disturbance(StrEnum):
    """What is done to trunkline while it serves."""

    DEATH = "a server dies and returns"
    UPGRADE = "upgrade"
    RELOAD = "reload"
    REFUSED_RELOAD = "reload of a broken configuration"


@dataclass
class Count:
    """Of one kind of traffic.

    Attributes:
        done: As it should be.
        injected: Failed, and was made to.
        failed: Failed for no reason that we know.
    """

    done: int = 0
    injected: int = 0
    failed: int = 0


@dataclass
class _Span:
    disturbance: Disturbance
    start_s: float
    end_s: float | None = None

    def overlaps(self, start_s: float, end_s: float) -> bool:
        return self.start_s <= end_s and (self.end_s is None or self.end_s >= start_s)


@dataclass
class Ledger:
    """All of it.

    Attributes:
        counts: By kind of traffic.
        disturbances: How often each was completed.
        problems: The failures that nobody made, in words.
    """

    counts: dict[str, Count] = field(default_factory=dict)
    disturbances: Counter[Disturbance] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    _spans: list[_Span] = field(default_factory=list)

    def begin(self, disturbance: Disturbance, now_s: float) -> None:
        """From now on its failures are injected."""
        self._spans.append(_Span(disturbance, now_s))

    def end(self, disturbance: Disturbance, now_s: float) -> None:
        """It is over, and everything is as before."""
        for span in self._spans:
            if span.disturbance == disturbance and span.end_s is None:
                span.end_s = now_s
        self.disturbances[disturbance] += 1

    def done(self, kind: str) -> None:
        """One more went well."""
        self._count(kind).done += 1

    def failed(
        self, kind: str, exposed_to: Disturbance | None, start_s: float, now_s: float, why: str
    ) -> None:
        """One failed that began at ``start_s``."""
        if exposed_to is not None and self.was_disturbed(exposed_to, start_s, now_s):
            self._count(kind).injected += 1
        else:
            self._count(kind).failed += 1
            self.problems.append(f"{kind}: {why}")

    def was_disturbed(self, disturbance: Disturbance, start_s: float, now_s: float) -> bool:
        """Whether it was going on at any time between."""
        mine = (span for span in self._spans if span.disturbance == disturbance)
        return any(span.overlaps(start_s, now_s) for span in mine)

    def _count(self, kind: str) -> Count:
        return self.counts.setdefault(kind, Count())
