"""`doctor`: what on this host would stop trunkline or slow it down, and what mends it."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from trunkline.core.commands import output
from trunkline.core.config.load import Loaded, load
from trunkline.core.config.problems import ConfigError
from trunkline.core.doctor import probes
from trunkline.core.doctor.cgroups import cgroups
from trunkline.core.doctor.files import files
from trunkline.core.doctor.finding import Finding, Host
from trunkline.core.doctor.machine import machine
from trunkline.core.doctor.needs import Needs, needs_of
from trunkline.core.doctor.network import network
from trunkline.core.instance import compile_strictly
from trunkline.core.role import Role


def doctor(config: Path | None, roles: Sequence[Role], *, as_json: bool) -> int:
    """Print all findings; 1 if something needs mending."""
    findings = list(everything(config, roles))
    if as_json:
        output.as_json([finding.to_json() for finding in findings])
    else:
        _show(findings)
    return output.FAILED if any(each.level == "look" for each in findings) else output.OK


def everything(config: Path | None, roles: Sequence[Role]) -> Iterator[Finding]:
    """What is found, without and with a configuration."""
    yield from probes.native()
    yield from probes.state_folder()
    needs = Needs()
    if config is not None:
        try:
            loaded = _load(config, roles)
        except ConfigError as refused:
            yield from _unsound(config, refused)
        else:
            yield Finding("configuration", f"{config} is sound")
            needs = needs_of(loaded)
            yield from (probes.port(address, config) for address in needs.listen)
    yield from host_findings(Host(), needs)
    yield from probes.shared_ports()


def host_findings(host: Host, needs: Needs) -> Iterator[Finding]:
    """What the host's files tell."""
    yield from files(host, needs)
    yield from network(host, needs)
    yield from cgroups(host, needs)
    yield from machine(host, needs, len(os.sched_getaffinity(0)))


def _load(config: Path, roles: Sequence[Role]) -> Loaded:
    with TemporaryDirectory(prefix="trunkline-") as state:
        loaded = load(config, roles, state=Path(state))
        compile_strictly(loaded)
    return loaded


def _unsound(config: Path, refused: ConfigError) -> Iterator[Finding]:
    for problem in refused.problems:
        why = "trunkline would not start"
        remedy = f"edit it, then: trunkline check {config}"
        yield Finding("configuration", str(problem), "look", why, remedy)


def _show(findings: Sequence[Finding]) -> None:
    for finding in findings:
        print(f"{finding.level:<5} {finding.subject}: {finding.state}")
        if finding.level != "ok":
            print(f"      why: {finding.why}")
            print(f"      do:  {finding.remedy}")
