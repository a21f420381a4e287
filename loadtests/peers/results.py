"""Raw records in, medians and ratios out. No clock, no process, no file: arithmetic only."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

OURS = "trunkline"


@dataclass(frozen=True)
class Record:
    """The figures of one case, one subject, one round."""

    case: str
    subject: str
    round_number: int
    figures: dict[str, float]


def values(records: Iterable[Record], case: str, subject: str, figure: str) -> dict[int, float]:
    """A figure by round number."""
    return {
        record.round_number: record.figures[figure]
        for record in records
        if (record.case, record.subject) == (case, subject) and figure in record.figures
    }


def median_of(records: Iterable[Record], case: str, subject: str, figure: str) -> float | None:
    """Median over the rounds, None if the subject did not run."""
    found = values(records, case, subject, figure)
    return median(found.values()) if found else None


def median_ratio(records: Iterable[Record], case: str, peer: str, figure: str) -> float | None:
    """Median over the rounds of ours divided by the peer's in the same round.

    Pairs of one round ran within the same minute, so slow drift of the machine cancels out. None
    if there is no such pair.
    """
    records = list(records)
    ours, theirs = values(records, case, OURS, figure), values(records, case, peer, figure)
    ratios = [ours[number] / theirs[number] for number in ours.keys() & theirs.keys()]
    return median(ratios) if ratios else None
