"""What each source of servers makes of its file or its records."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.resolver
import pytest

from testkit.nameserver import Nameserver
from trunkline.core.config.discover import Discover, nameserver_address
from trunkline.core.config.pool import Server
from trunkline.core.discovery.file import FileSource
from trunkline.core.discovery.names import NamesSource
from trunkline.core.discovery.source import DiscoveryError, Found

RECORDS = {
    ("app.test", "A"): (60, ["10.0.0.1", "10.0.0.2"]),
    ("app.test", "AAAA"): (60, ["2001:db8::1"]),
    ("long.test", "A"): (86_400, ["10.0.0.1"]),
    ("brief.test", "A"): (0, ["10.0.0.1"]),
    ("alias.test", "CNAME"): (7, ["app.test."]),
    ("_http._tcp.app.test", "SRV"): (
        30,
        ["20 0 8003 c.test.", "10 60 8001 a.test.", "10 0 8002 b.test."],
    ),
    ("a.test", "A"): (20, ["10.0.1.1", "10.0.1.2"]),
    ("b.test", "AAAA"): (60, ["2001:db8::2"]),
    ("c.test", "A"): (60, ["10.0.3.1"]),
    ("_some._tcp.app.test", "SRV"): (
        30,
        ["0 1 8001 gone.test.", "0 1 8002 text.test.", "1 1 8003 c.test."],
    ),
    ("_none._tcp.app.test", "SRV"): (30, ["0 1 8001 gone.test.", "0 1 8002 text.test."]),
    ("_off._tcp.app.test", "SRV"): (30, ["0 0 0 ."]),
    ("text.test", "TXT"): (60, ["hello"]),
}


@pytest.fixture(scope="module")
def nameserver() -> Iterator[Nameserver]:
    with Nameserver(RECORDS) as server:
        yield server


def ask(nameserver: Nameserver, name: str, **keys: Any) -> Found:
    settings = {"kind": "dns", "name": name, "nameservers": [nameserver.address], **keys}
    source = NamesSource(Discover.model_validate(settings))
    return asyncio.run(source.find())


def addresses(found: Found) -> list[str]:
    return sorted(str(server.address) for server in found.servers)


@pytest.mark.parametrize(
    ("name", "kind", "expected", "valid_s"),
    [
        ("app.test", "A", ["10.0.0.1:80", "10.0.0.2:80"], 60),
        ("app.test", "AAAA", ["[2001:db8::1]:80"], 60),
        ("alias.test", "A", ["10.0.0.1:80", "10.0.0.2:80"], 7),
        ("long.test", "A", ["10.0.0.1:80"], 300),
        ("brief.test", "A", ["10.0.0.1:80"], 1),
    ],
)
def test_addresses(
    nameserver: Nameserver, name: str, kind: str, expected: list[str], valid_s: float
) -> None:
    found = ask(nameserver, name, type=kind, port=80)
    assert (addresses(found), found.valid_s) == (expected, valid_s)


def test_services_bring_port_priority_and_weight(nameserver: Nameserver) -> None:
    found = ask(nameserver, "_http._tcp.app.test", type="SRV")
    told = sorted((str(s.address), s.priority, s.weight) for s in found.servers)
    assert told == [
        ("10.0.1.1:8001", 0, 60),
        ("10.0.1.2:8001", 0, 60),
        ("10.0.3.1:8003", 1, 1),
        ("[2001:db8::2]:8002", 0, 1),
    ]
    assert found.valid_s == 20, "the shortest of all that were asked for"


def test_targets_without_an_address_are_left_out(
    nameserver: Nameserver, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"kind": "dns", "name": "_some._tcp.app.test", "type": "SRV"}
    source = NamesSource(Discover.model_validate({**settings, "nameservers": [nameserver.address]}))

    async def twice() -> list[Found]:
        return [await source.find(), await source.find()]

    for found in asyncio.run(twice()):
        assert addresses(found) == ["10.0.3.1:8003"]
    said = sorted(record.message.split(": ")[1] for record in caplog.records)
    assert said == ["the target gone.test is left out", "the target text.test is left out"]


def test_services_whose_targets_all_have_no_address(nameserver: Nameserver) -> None:
    with pytest.raises(DiscoveryError, match=r"(gone|text)\.test"):
        ask(nameserver, "_none._tcp.app.test", type="SRV")


def test_a_host_without_nameservers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may get some later: then the source asks them."""

    def read_resolv_conf(*_: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.BaseResolver, "read_resolv_conf", read_resolv_conf)
    source = NamesSource(Discover(kind="dns", name="app.test", port=80))
    with pytest.raises(DiscoveryError, match="Resolver configuration"):
        asyncio.run(source.find())


@pytest.mark.parametrize(
    ("name", "kind", "host"),
    [
        ("app.test", "A", "app.test"),
        ("alias.test", "A", "alias.test"),
        ("_http._tcp.app.test", "SRV", "app.test"),
    ],
)
def test_servers_are_who_was_asked_for_whatever_dns_says(
    nameserver: Nameserver, name: str, kind: str, host: str
) -> None:
    port = {} if kind == "SRV" else {"port": 80}
    found = ask(nameserver, name, type=kind, **port)
    assert {server.host for server in found.servers} == {host}


def test_a_service_that_is_switched_off_has_no_servers(nameserver: Nameserver) -> None:
    assert ask(nameserver, "_off._tcp.app.test", type="SRV").servers == ()


@pytest.mark.parametrize("name", ["nobody.test", "text.test"])
def test_what_dns_does_not_know(nameserver: Nameserver, name: str) -> None:
    with pytest.raises(DiscoveryError, match=f"A {name}: .*{name}"):
        ask(nameserver, name, port=80)


def test_a_server_that_says_nothing() -> None:
    with Nameserver({}) as silent:
        silent.silent = True
        with pytest.raises(DiscoveryError, match="lifetime"):
            ask(silent, "app.test", port=80, timeout="300ms")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.53", ("10.0.0.53", 53)),
        ("10.0.0.53:5353", ("10.0.0.53", 5353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
    ],
)
def test_who_is_asked(text: str, address: tuple[str, int]) -> None:
    assert nameserver_address(text) == address
    settings = Discover(kind="dns", name="a", port=80, nameservers=[text])
    assert settings.nameservers is not None
    assert nameserver_address(settings.nameservers[0]) == address


def read(path: Path) -> tuple[Server, ...]:
    return asyncio.run(FileSource(path, 1).find()).servers


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("s.toml", 'servers = ["10.0.0.1:80", { address = "10.0.0.2:80", weight = 3 }]'),
        ("s.json", '{"servers": ["10.0.0.1:80", {"address": "10.0.0.2:80", "weight": 3}]}'),
        ("s.json", '["10.0.0.1:80", {"address": "10.0.0.2:80", "weight": 3}]'),
    ],
)
def test_lists_in_files(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    told = [(str(server.address), server.weight) for server in read(tmp_path / name)]
    assert told == [("10.0.0.1:80", None), ("10.0.0.2:80", 3)]


def test_names_in_files_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('["localhost:80"]')
    (server,) = read(tmp_path / "s.json")
    assert (server.name, str(server.address)) == ("localhost:80", "127.0.0.1:80")
    assert server.host == "localhost"


def test_hosts_in_files_stay(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('[{"address": "localhost:80", "host": "app.internal"}]')
    (server,) = read(tmp_path / "s.json")
    assert server.host == "app.internal"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.toml", 'servers = ["10.0.0.1:80"', "Unclosed array"),
        ("s.json", "[", "Expecting value"),
        ("s.json", '{"server": []}', "valid list"),
        ("s.json", '["10.0.0.1:80", "10.0.0.1"]', r"servers\[1\]: .*host:port"),
        ("s.json", '[{"address": "10.0.0.1:80", "wight": 1}]', r"servers\[0\]: Extra inputs"),
        ("s.json", '["nobody.invalid:80"]', '"nobody.invalid" does not resolve'),
        ("s.json", f'["{"a" * 64}.test:80"]', "longer than 63 characters"),
    ],
)
def test_files_that_are_no_lists(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DiscoveryError, match=message):
        read(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DiscoveryError, match="No such file"):
        read(tmp_path / "none.json")


def test_a_file_is_read_again_when_it_is_another_one(tmp_path: Path) -> None:
    """Also if size and time are the old ones, as after a rename of a file of the same second."""
    path, other = tmp_path / "s.json", tmp_path / "next.json"
    path.write_text('["10.0.0.1:80"]')
    other.write_text('["10.0.0.2:80"]')
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))

    async def both() -> list[str]:
        source = FileSource(path, 1)
        first = await source.find()
        other.rename(path)
        second = await source.find()
        return [str(found.servers[0].address) for found in (first, second)]

    assert asyncio.run(both()) == ["10.0.0.1:80", "10.0.0.2:80"]


def test_a_file_is_looked_at_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that hangs must not hang the loop."""
    (tmp_path / "s.json").write_text('["10.0.0.1:80"]')
    threads: set[threading.Thread] = set()
    stat = os.stat

    def noting(path: Any, **more: Any) -> os.stat_result:
        if os.fspath(path).endswith("s.json"):
            threads.add(threading.current_thread())
        return stat(path, **more)

    monkeypatch.setattr(os, "stat", noting)
    assert read(tmp_path / "s.json")
    assert threads
    assert threading.main_thread() not in threads
