"""Other people's nameservers, each with the zones of a folder, for answers to compare with.

A zone is the file ``NAME.zone`` of the folder.
"""

from collections.abc import Sequence
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from testkit.ports import free_port
from testkit.process import Process

_NAMED = """
options {{
    directory "{folder}"; pid-file "{folder}/named.pid"; session-keyfile none;
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; minimal-responses yes; minimal-any yes;
}};
controls {{ }};
"""
_KNOT = """
server:
    rundir: {folder}/knot
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}/knot
template:
  - id: default
    storage: {folder}
    zonefile-sync: -1
    journal-content: none
    semantic-checks: off
zone:
"""


class Nameserver:
    """A running one; the ``with`` block ends it."""

    def __init__(self, command: list[str], folder: Path, zones: Sequence[str], port: int) -> None:
        self.port = port
        self._zones = zones
        self._process = Process(command, directory=folder, name=command[0])
        self._process.wait_ready(self._answers)

    def _answers(self) -> bool:
        question = dns.message.make_query(self._zones[-1], "SOA")
        try:
            answer = dns.query.udp(question, "127.0.0.1", port=self.port, timeout=0.2)
        except (dns.exception.DNSException, OSError):
            return False
        return bool(answer.answer)

    def __enter__(self) -> "Nameserver":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()


def start_bind(folder: Path, zones: Sequence[str]) -> Nameserver:
    """BIND, in the foreground."""
    port = free_port()
    config = _NAMED.format(folder=folder, port=port)
    for zone in zones:
        config += f'zone "{zone}" {{ type primary; file "{zone}.zone"; check-names ignore; }};\n'
    (folder / "named.conf").write_text(config)
    return Nameserver(["named", "-g", "-c", str(folder / "named.conf")], folder, zones, port)


def start_knot(folder: Path, zones: Sequence[str]) -> Nameserver:
    """Knot DNS, in the foreground."""
    port = free_port()
    (folder / "knot").mkdir()
    config = _KNOT.format(folder=folder, port=port)
    for zone in zones:
        config += f"  - domain: {zone}\n    file: {zone}.zone\n"
    (folder / "knot.conf").write_text(config)
    return Nameserver(["knotd", "-c", str(folder / "knot.conf")], folder, zones, port)
