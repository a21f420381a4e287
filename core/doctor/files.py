"""File descriptors and pipes."""

from collections.abc import Iterator

from trunkline.core.doctor.finding import Finding, Host, at_least
from trunkline.core.doctor.needs import Needs

# Two for each proxied connection, and what the process needs besides.
_PER_CONNECTION = 2
_BESIDES = 1_000
# native/crates/engine/src/splice.rs: so many pipes for each thread, of so many pages.
_PIPES, _PIPE_PAGES = 64, 256
# linux/capability.h: whoever has one of these is not limited.
_CAP_SYS_ADMIN, _CAP_SYS_RESOURCE = 21, 24


def files(host: Host, needs: Needs) -> Iterator[Finding]:
    """Whether there are enough for the connections."""
    wanted = needs.connections * _PER_CONNECTION + _BESIDES
    yield from _own_limit(host, wanted)
    why = "the whole host runs out of open files first: connections are refused"
    yield from at_least(host, "fs.file-max", wanted, why)
    yield from _pipes(host, needs.threads)


def _own_limit(host: Host, wanted: int) -> Iterator[Finding]:
    """The hard limit counts: trunkline raises its soft one to it."""
    soft, hard = _open_files(host.read("proc/self/limits") or "")
    if hard is None:
        return
    state = f"{soft} now, {hard} at most"
    if hard >= wanted:
        yield Finding("open files", state)
        return
    why = (
        f"a proxied connection takes two, so about {hard // _PER_CONNECTION} fit; further ones "
        "wait, and requests are refused as out_of_files"
    )
    raise_ceiling = ""
    ceiling = host.number("fs.nr_open")
    if ceiling is not None and ceiling < wanted:
        raise_ceiling = f"sysctl -w fs.nr_open={wanted} && "
    remedy = f"{raise_ceiling}ulimit -Hn {wanted}   (systemd: LimitNOFILE={wanted})"
    yield Finding("open files", state, "look", why, remedy)


def _open_files(limits: str) -> tuple[int, int] | tuple[None, None]:
    for line in limits.splitlines():
        if line.startswith("Max open files"):
            soft, hard = line.split()[3:5]
            return int(soft), int(hard)
    return None, None


def _pipes(host: Host, threads: int) -> Iterator[Finding]:
    """Large bodies move through pipes of 1 MB; a user without privileges may have so many pages."""
    name = "fs.pipe-user-pages-soft"
    allowed, wanted = host.number(name), threads * _PIPES * _PIPE_PAGES
    if not allowed or _is_unlimited(host.read("proc/self/status") or ""):
        return
    if allowed >= wanted:
        yield Finding(name, str(allowed))
        return
    why = f"beyond {allowed // _PIPE_PAGES} large bodies at a time the rest is copied, not spliced"
    yield Finding(name, str(allowed), "hint", why, f"sysctl -w {name}={wanted}")


def _is_unlimited(status: str) -> bool:
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            capabilities = int(line.split()[1], 16)
            return bool(capabilities & (1 << _CAP_SYS_ADMIN | 1 << _CAP_SYS_RESOURCE))
    return False
