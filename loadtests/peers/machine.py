"""Where and on what a run was made: the facts that stand above every result table."""

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from loadtests.peers.subjects.base import first_output_line

ROOT = Path(__file__).resolve().parents[2]


def describe(versions: dict[str, str]) -> dict[str, str]:
    """Date, commit, machine, versions and command, in the order of the report."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "machine": f"{os.cpu_count()} x {_cpu_model()}, {_memory_gib():.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **versions,
        "command": shlex.join(["python", *(os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:])]),
    }


def generator_versions() -> dict[str, str]:
    """Of the load generators that are not ours."""
    return {"wrk": _wrk_version(), "h2load": first_output_line(["h2load", "--version"])}


def _commit() -> str:
    commit = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "native", "core", "lb")
    return f"{commit} with local changes" if changed else commit


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _wrk_version() -> str:
    """``wrk -v`` exits with 1 after printing its usage."""
    done = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()[0]
