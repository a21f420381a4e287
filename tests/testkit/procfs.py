"""What Linux says about a process: CPU time, memory, descriptors, threads, children.

Reads ``/proc`` and the CPU clock of the process. Raises ``OSError`` for a process that is gone.
"""

import os
import time
from pathlib import Path

_CPUCLOCK_SCHED = 2  # linux/posix-timers.h: the clock that counts scheduled nanoseconds


def cpu_seconds(pid: int) -> float:
    """CPU time (user and system, all threads, ended ones too) in seconds, exact to nanoseconds.

    ``/proc/PID/stat`` counts in ticks of 10 ms; the process CPU clock of clock_getcpuclockid(3)
    reads the same sum unrounded. Its number is made as the C library makes it.
    """
    return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)


def rss_bytes(pid: int) -> int:
    """Resident memory in bytes."""
    resident_pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return resident_pages * os.sysconf("SC_PAGE_SIZE")


def fd_count(pid: int) -> int:
    """Number of open file descriptors."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def thread_ids(pid: int) -> list[int]:
    """Kernel ids of all threads; the first is the process id."""
    return sorted(int(name) for name in os.listdir(f"/proc/{pid}/task"))


def children(pid: int) -> list[int]:
    """Process ids of the direct children of all threads."""
    found: list[int] = []
    for thread_id in thread_ids(pid):
        found += map(int, Path(f"/proc/{pid}/task/{thread_id}/children").read_text().split())
    return found


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    return [pid, *(member for child in children(pid) for member in family(child))]


def pin(pid: int, cores: set[int]) -> None:
    """Bind every present thread of the process to these cores; later threads inherit it."""
    for thread_id in thread_ids(pid):
        os.sched_setaffinity(thread_id, cores)


def is_running(pid: int) -> bool:
    """Whether there is such a process; one that only waits to be collected has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
