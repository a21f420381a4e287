"""`doctor`: what on this host would stop trunkline or slow it down, and what mends it."""

import os
import resource
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from trunkline.core.commands import output
from trunkline.core.config.load import load
from trunkline.core.config.problems import ConfigError
from trunkline.core.role import Role

# Two for each proxied connection; a listener takes 100 000 connections by default.
_ENOUGH_FILES = 200_000
# A listener's backlog is cut to this; 4096 is the default since Linux 5.4.
_ENOUGH_BACKLOG = 4_096
# Outgoing connections to one server address that the port range must allow.
_ENOUGH_PORTS = 20_000


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `remedy` is empty if it is well."""

    subject: str
    state: str
    remedy: str = ""


def doctor(config: Path | None, roles: Sequence[Role]) -> int:
    """Print all findings; 1 if something needs mending."""
    findings = [*_native(), *_host()]
    if config is not None:
        findings += _configuration(config, roles)
    for finding in findings:
        print(f"{'look' if finding.remedy else 'ok':<5} {finding.subject}: {finding.state}")
        if finding.remedy:
            print(f"      {finding.remedy}")
    return output.FAILED if any(finding.remedy for finding in findings) else output.OK


def _native() -> Iterator[Finding]:
    try:
        from trunkline.core.native import native_version
    except ImportError as error:
        yield Finding("native module", str(error), "pip install --force-reinstall ./native .")
    else:
        yield Finding("native module", native_version())


def _host() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    remedy = f"ulimit -n {_ENOUGH_FILES}   (systemd: LimitNOFILE={_ENOUGH_FILES})"
    state = f"{soft} now, {hard} at most"
    yield Finding("open files", state, "" if hard >= _ENOUGH_FILES else remedy)
    backlog = _setting("net.core.somaxconn")
    yield _at_least("net.core.somaxconn", backlog, _ENOUGH_BACKLOG)
    low, high = map(int, _read("net.ipv4.ip_local_port_range").split())
    remedy = 'sysctl -w net.ipv4.ip_local_port_range="10240 65535"'
    enough = high - low >= _ENOUGH_PORTS
    yield Finding("ports for connections to servers", f"{low} to {high}", "" if enough else remedy)
    cpus = len(os.sched_getaffinity(0))
    yield Finding("CPUs", f"{cpus}: as many worker threads unless runtime.threads says otherwise")


def _at_least(name: str, value: int, enough: int) -> Finding:
    return Finding(name, str(value), "" if value >= enough else f"sysctl -w {name}={enough}")


def _setting(name: str) -> int:
    return int(_read(name))


def _read(name: str) -> str:
    return Path("/proc/sys", *name.split(".")).read_text()


def _configuration(file: Path, roles: Sequence[Role]) -> Iterator[Finding]:
    try:
        with TemporaryDirectory(prefix="trunkline-") as state:
            loaded = load(file, roles, state=Path(state))
    except ConfigError as refused:
        for problem in refused.problems:
            yield Finding("configuration", str(problem), f"edit it, then: trunkline check {file}")
        return
    yield Finding("configuration", f"{file} is sound")
    for address in loaded.builder.listen_addresses():
        yield _port(address.host, address.port)


def _port(host: str, port: int) -> Finding:
    subject = f"listen {host}:{port}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            remedy = (
                f"sysctl -w net.ipv4.ip_unprivileged_port_start={port}   (or CAP_NET_BIND_SERVICE)"
            )
            return Finding(subject, "not permitted", remedy)
        except OSError as error:
            return Finding(
                subject, str(error.strerror), f"ss -ltnp 'sport = :{port}'   shows who has it"
            )
    return Finding(subject, "free")
