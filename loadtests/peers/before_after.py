"""Has the plain HTTP/1.1 path become slower? Two builds of trunkline side by side.

``python loadtests/peers/before_after.py --before DIRECTORY/.venv/bin/python --rounds 5``: the
directory is a work tree of the commit to compare with, after `make install` there. Each round
measures both builds in every plain case, in turns; the exit status is 1 if the median of the
ratios within the rounds fell below the limit in any case. It writes nothing.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from loadtests.peers.cases import CASES, Case
from loadtests.peers.progress import line_of
from loadtests.peers.results import OURS, Record, median_ratio
from loadtests.peers.session import Session
from loadtests.peers.subjects import Subject
from loadtests.peers.subjects.trunkline import Trunkline

_BEFORE = "before"
_PLAIN = [case.name for case in CASES if case.is_plain_speed]


def main() -> None:
    """Measure, print, judge."""
    options = _options()
    subjects: dict[str, type[Subject]] = {OURS: Trunkline, _BEFORE: _before(options.before)}
    # Without targets every subject runs.
    cases = [replace(case, targets={}) for case in CASES if case.name in options.case]
    records = []
    for record in Session(cases, subjects, options.rounds, options.seconds).run():
        records.append(record)
        print(line_of(record), flush=True)
    verdicts = [_judge(case, records, options.limit) for case in cases]
    sys.exit(0 if all(verdicts) else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", required=True, help="Python of the other build's environment")
    parser.add_argument("--case", nargs="+", choices=_PLAIN, default=_PLAIN)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="measured time of each run")
    parser.add_argument("--limit", type=float, default=0.98, help="least ratio after / before")
    return parser.parse_args()


def _before(python: str) -> type[Subject]:
    """The other build, under a name of its own.

    A file that is no trunkline fails when the first of its runs starts.
    """
    return type("Before", (Trunkline,), {"name": _BEFORE, "python": str(Path(python).absolute())})


def _judge(case: Case, records: list[Record], limit: float) -> bool:
    ratio = median_ratio(records, case.name, _BEFORE, case.figure)
    if ratio is None:
        raise RuntimeError(f"{case.name}: no round has both builds")
    print(f"{case.name:16} {case.figure} after / before {ratio:.3f}, at least {limit}")
    return ratio >= limit


if __name__ == "__main__":
    main()
