"""What a container or a service unit may use: control groups, version 2 or 1."""

import math
from collections.abc import Iterator
from pathlib import PurePosixPath

from trunkline.core.doctor.finding import Finding, Host
from trunkline.core.doctor.needs import Needs

_MOUNT = "sys/fs/cgroup"
# Version 1 says "no limit" by a number that is as large as can be.
_NO_LIMIT = 1 << 60
# The interpreter with everything imported, and the threads.
_BASE_BYTES = 120 << 20
# 1.9 KB of ours (docs/operations/running.md), and two sockets in the kernel: slab memory grew by
# 4.1 KB for each socket of 8 000 loopback connections in an epoll set, on Linux 6.18.
_CONNECTION_BYTES = 10_300
_MB = 1 << 20


def cgroups(host: Host, needs: Needs) -> Iterator[Finding]:
    """CPU and memory beside threads and connections."""
    yield from _cpu(host, needs.threads)
    yield from _memory(host, needs.connections)


def _cpu(host: Host, threads: int) -> Iterator[Finding]:
    allowed = min(_cpus(host), default=None)
    if allowed is None:
        return
    state = f"{allowed:g} CPUs for {threads} threads"
    fitting = max(1, math.floor(allowed))
    if threads <= math.ceil(allowed):
        yield Finding("CPU limit", state)
        return
    why = (
        "busy threads use the quota up early in each period, and then none of them runs until the "
        "next one: up to 100 ms at a time"
    )
    remedy = f"[runtime] threads = {fitting}   (systemd: CPUQuota={threads * 100}%)"
    yield Finding("CPU limit", state, "look", why, remedy)


def _memory(host: Host, connections: int) -> Iterator[Finding]:
    allowed = min(_bytes(host), default=None)
    if allowed is None:
        return
    state = f"{allowed // _MB} MB for {connections} connections"
    wanted = _BASE_BYTES + connections * _CONNECTION_BYTES
    if allowed >= wanted:
        yield Finding("memory limit", state)
        return
    fitting = max(0, allowed - _BASE_BYTES) // _CONNECTION_BYTES // 100 * 100
    why = f"about {fitting} open connections fit; beyond them the kernel kills the process"
    megabytes = math.ceil(wanted / _MB)
    remedy = f"limits.connections = {fitting}   (systemd: MemoryMax={megabytes}M)"
    yield Finding("memory limit", state, "look", why, remedy)


def _cpus(host: Host) -> Iterator[float]:
    """Of this group and all above it."""
    for folder in _folders(host, ""):
        quota, _, period = (host.read(f"{folder}/cpu.max") or "max").partition(" ")
        if quota != "max":
            yield int(quota) / int(period)
    for folder in _folders(host, "cpu"):
        quota = host.read(f"{folder}/cpu.cfs_quota_us") or "-1"
        if int(quota) > 0:
            yield int(quota) / int(host.read(f"{folder}/cpu.cfs_period_us") or 100_000)


def _bytes(host: Host) -> Iterator[int]:
    for folder in _folders(host, ""):
        limit = host.read(f"{folder}/memory.max") or "max"
        if limit != "max":
            yield int(limit)
    for folder in _folders(host, "memory"):
        limit_bytes = int(host.read(f"{folder}/memory.limit_in_bytes") or _NO_LIMIT)
        if limit_bytes < _NO_LIMIT:
            yield limit_bytes


def _folders(host: Host, controller: str) -> Iterator[str]:
    """Where the files of a controller are; "" means version 2.

    A container may see its own group as the root of the mount, whatever path the kernel tells.
    """
    for line in (host.read("proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            mount = f"{_MOUNT}/{controller}" if controller else _unified(host)
            own = PurePosixPath(path)
            yield from (f"{mount}{part}".rstrip("/") for part in (own, *own.parents))


def _unified(host: Host) -> str:
    is_alone = host.read(f"{_MOUNT}/cgroup.controllers") is not None
    return _MOUNT if is_alone else f"{_MOUNT}/unified"
