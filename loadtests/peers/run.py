"""The one command: ``python loadtests/peers/run.py`` measures all cases and writes the report.

Without options: every case, three rounds, all subjects; ``docs/results/peers.md`` and the raw
records beside it. ``--quick --case small64`` is one round of 5 s that writes nothing.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from loadtests.peers.cases import CASES  # noqa: E402 - the path must be set first
from loadtests.peers.machine import describe, generator_versions  # noqa: E402
from loadtests.peers.progress import line_of  # noqa: E402
from loadtests.peers.report import render  # noqa: E402
from loadtests.peers.results import Record  # noqa: E402
from loadtests.peers.session import Session  # noqa: E402
from loadtests.peers.subjects import SUBJECTS  # noqa: E402


def main() -> None:
    """Parse the command line, run the session, write the results."""
    options = _options()
    if (os.cpu_count() or 1) < 2:
        sys.exit("needs two cores: one for the proxy, one for the backend and the load generator")
    cases = [case for case in CASES if case.name in options.case]
    subjects = {name: SUBJECTS[name] for name in options.subject}
    session = Session(
        cases=cases,
        subjects=subjects,
        rounds=1 if options.quick else options.rounds,
        seconds=5 if options.quick else options.seconds,
    )
    versions = {name: subject.version() for name, subject in subjects.items()}
    facts = describe({**versions, **generator_versions()})
    records = []
    for record in session.run():
        records.append(record)
        print(line_of(record), flush=True)
    page = render(facts, cases, records)
    print(page)
    if not options.quick:
        _write(options.output, facts, records, page)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [case.name for case in CASES]
    parser.add_argument("--case", nargs="+", choices=names, default=names)
    parser.add_argument("--subject", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6, help="measured time of each run")
    parser.add_argument("--quick", action="store_true", help="one round of 5 s, writes nothing")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "results")
    return parser.parse_args()


def _write(directory: Path, facts: dict[str, str], records: list[Record], page: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    raw = {"facts": facts, "records": [asdict(record) for record in records]}
    (directory / "peers.json").write_text(json.dumps(raw, indent=1) + "\n")
    (directory / "peers.md").write_text(page)


if __name__ == "__main__":
    main()
