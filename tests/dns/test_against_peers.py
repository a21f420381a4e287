"""Every name and type of four zones, asked of us, of BIND and of Knot.

We answer as one of them does. The zones are the same records (`base.zone`), unsigned and signed
with NSEC, NSEC3 and opt-out.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rdatatype
import pytest

from testkit.nameservers import start_bind, start_knot
from testkit.ports import free_port
from testkit.trunkline import Trunkline

BASE = Path(__file__).with_name("base.zone")
# Zone: options of ldns-signzone; None: unsigned.
ZONES: dict[str, list[str] | None] = {
    "plain.test": None,
    "nsec.test": [],
    "nsec3.test": ["-n", "-t", "5", "-s", "abcd"],
    "optout.test": ["-n", "-p", "-t", "0"],
}
NAMES = BASE.with_name("names.txt").read_text().split()
# Over TCP nothing is left out for want of room; else it is the same path.
NAMES_OVER_TCP = ["@", "www", "big", "a.child", "any.alias", "missing"]
TYPES = BASE.with_name("types.txt").read_text().split()
Sections = tuple[int, bool, bool, tuple[tuple[str, ...], ...]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zones")
    for zone, signing in ZONES.items():
        unsigned = folder / f"{zone}.unsigned"
        unsigned.write_text(f"$ORIGIN {zone}.\n{BASE.read_text()}")
        if signing is None:
            unsigned.rename(folder / f"{zone}.zone")
            continue
        keygen = ["ldns-keygen", "-a", "ECDSAP256SHA256", zone]
        key = subprocess.run(keygen, cwd=folder, check=True, capture_output=True, text=True)
        output = ["-f", f"{zone}.zone", unsigned.name, key.stdout.strip()]
        subprocess.run(["ldns-signzone", *signing, *output], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def ours(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    zones = "".join(f'[dns.zones."{zone}"]\nfile = "{folder / zone}.zone"\n' for zone in ZONES)
    config = f'[dns]\nlisten = ["127.0.0.1:{port}"]\n{zones}'
    with Trunkline(tmp_path_factory.mktemp("ours"), config):
        yield port


@pytest.fixture(scope="module")
def peers(folder: Path) -> Iterator[list[int]]:
    zones = list(ZONES)
    with start_bind(folder, zones) as bind, start_knot(folder, zones) as knot:
        yield [bind.port, knot.port]


def ask(port: int, name: str, rtype: str, *, dnssec: bool, tcp: bool) -> Sections:
    """The answer in a form that does not depend on order or case."""
    question = dns.message.make_query(name, rtype, want_dnssec=dnssec, payload=1232)
    question.use_edns(0 if dnssec else -1, ednsflags=dns.flags.DO if dnssec else 0, payload=1232)
    question.flags &= ~dns.flags.RD
    send = dns.query.tcp if tcp else dns.query.udp
    answer = send(question, "127.0.0.1", port=port, timeout=5)
    sections = []
    for section in (answer.answer, answer.authority, answer.additional):
        lines = [
            f"{rrset.name} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {data}".lower()
            for rrset in section
            for data in rrset
        ]
        sections.append(tuple(sorted(lines)))
    authoritative = bool(answer.flags & dns.flags.AA)
    truncated = bool(answer.flags & dns.flags.TC)
    return answer.rcode(), authoritative, truncated, tuple(sections)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("dnssec", [False, True], ids=["plain", "do"])
@pytest.mark.parametrize("zone", ZONES)
def test_the_same_answers(
    ours: int, peers: list[int], *, zone: str, dnssec: bool, tcp: bool
) -> None:
    for name in NAMES_OVER_TCP if tcp else NAMES:
        full = f"{zone}." if name == "@" else f"{name}.{zone}."
        for rtype in TYPES:
            answers = [ask(port, full, rtype, dnssec=dnssec, tcp=tcp) for port in (ours, *peers)]
            assert answers[0] in answers[1:], f"{full} {rtype}"
