"""CPUs and the clock."""

from collections.abc import Iterator

from trunkline.core.doctor.finding import Finding, Host
from trunkline.core.doctor.needs import Needs

_CLOCK = "sys/devices/system/clocksource/clocksource0"
# Those that are read without a system call.
_QUICK_CLOCKS = {"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"}


def machine(host: Host, needs: Needs, cpus: int) -> Iterator[Finding]:
    """Threads beside CPUs, and what reading the clock costs."""
    state = f"{needs.threads} for {cpus} CPUs"
    if needs.threads <= cpus:
        yield Finding("worker threads", state)
    else:
        why = "threads of one CPU take turns: each waits while the other works"
        yield Finding("worker threads", state, "hint", why, f"[runtime] threads = {cpus}")
    yield from _clock(host)


def _clock(host: Host) -> Iterator[Finding]:
    current = host.read(f"{_CLOCK}/current_clocksource")
    if current is None:
        return
    if current in _QUICK_CLOCKS:
        yield Finding("clock", current)
        return
    available = (host.read(f"{_CLOCK}/available_clocksource") or "").split()
    quick = next((name for name in available if name in _QUICK_CLOCKS), None)
    why = "reading it takes a system call, and each request reads it twice"
    if quick is None:
        remedy = "ask whoever runs the machine: it offers no clock that is read without one"
    else:
        remedy = f"echo {quick} > /{_CLOCK}/current_clocksource"
    yield Finding("clock", current, "hint", why, remedy)
