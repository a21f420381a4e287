"""`trunkline doctor`: what it finds on hosts that are folders of files, and on this one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from testkit.ports import free_port
from testkit.service import Service
from testkit.trunkline import lb_config
from testkit.upstream import Upstream
from trunkline.cli import load_roles
from trunkline.core.commands.doctor import everything, host_findings
from trunkline.core.config.load import load
from trunkline.core.config.values import Address
from trunkline.core.doctor import probes
from trunkline.core.doctor.cgroups import cgroups
from trunkline.core.doctor.files import files
from trunkline.core.doctor.finding import Finding, Host
from trunkline.core.doctor.machine import machine
from trunkline.core.doctor.needs import Needs, needs_of
from trunkline.core.doctor.network import network

MakeHost = Callable[[dict[str, str]], Host]
NEEDS = Needs(threads=4, connections=10_000, listen=[], reaches_out=True)
CLOCK = "sys/devices/system/clocksource/clocksource0"


@pytest.fixture
def make_host(tmp_path: Path) -> MakeHost:
    """Makes a host of files; names that are settings lie under proc/sys."""

    def make(tree: dict[str, str]) -> Host:
        for name, text in tree.items():
            path = (
                name if name.startswith(("proc/", "sys/")) else f"proc/sys/{name.replace('.', '/')}"
            )
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}\n")
        return Host(tmp_path)

    return make


def limits(soft: int, hard: int) -> dict[str, str]:
    header = "Limit                     Soft Limit           Hard Limit           Units"
    line = f"Max open files            {soft:<20} {hard:<20} files"
    return {"proc/self/limits": f"{header}\n{line}\nMax locked memory   8388608  8388608  bytes"}


# Name → files of the host, and what is found: subject, level, part of the remedy.
FILES: dict[str, tuple[dict[str, str], list[tuple[str, str, str]]]] = {
    "enough": (limits(1_024, 21_000), [("open files", "ok", "")]),
    "too few": (limits(1_024, 20_999), [("open files", "look", "ulimit -Hn 21000")]),
    "too few, and a low ceiling": (
        {**limits(1_024, 4_096), "fs.nr_open": "4096"},
        [("open files", "look", "sysctl -w fs.nr_open=21000 && ulimit -Hn 21000")],
    ),
    "few on the whole host": (
        {"fs.file-max": "20000"},
        [("fs.file-max", "look", "sysctl -w fs.file-max=21000")],
    ),
    "few pipes": (
        {
            "fs.pipe-user-pages-soft": "16384",
            "proc/self/status": "Name:\tx\nCapEff:\t0000000000000000",
        },
        [("fs.pipe-user-pages-soft", "hint", "sysctl -w fs.pipe-user-pages-soft=65536")],
    ),
    "enough pipes": (
        {"fs.pipe-user-pages-soft": "65536", "proc/self/status": "CapEff:\t0000000000000000"},
        [("fs.pipe-user-pages-soft", "ok", "")],
    ),
    "pipes are not limited": ({"fs.pipe-user-pages-soft": "0"}, []),
    "pipes of a user who is not limited": (
        {"fs.pipe-user-pages-soft": "1", "proc/self/status": "CapEff:\t0000000001000000"},
        [],
    ),
}
NETWORK: dict[str, tuple[dict[str, str], list[tuple[str, str, str]]]] = {
    "a short queue": (
        {"net.core.somaxconn": "128"},
        [("net.core.somaxconn", "look", "sysctl -w net.core.somaxconn=4096")],
    ),
    "a long one": ({"net.core.somaxconn": "4096"}, [("net.core.somaxconn", "ok", "")]),
    "no cookies": (
        {"net.ipv4.tcp_syncookies": "0"},
        [("net.ipv4.tcp_syncookies", "look", "sysctl -w net.ipv4.tcp_syncookies=1")],
    ),
    "cookies": ({"net.ipv4.tcp_syncookies": "1"}, []),
    "no migration": (
        {"net.ipv4.tcp_migrate_req": "0"},
        [("net.ipv4.tcp_migrate_req", "hint", "sysctl -w net.ipv4.tcp_migrate_req=1")],
    ),
    "migration": ({"net.ipv4.tcp_migrate_req": "1"}, [("net.ipv4.tcp_migrate_req", "ok", "")]),
    "few ports": (
        {"net.ipv4.ip_local_port_range": "50000\t50999"},
        [("ports for connections to servers", "look", "ip_local_port_range=")],
    ),
    "many ports": (
        {"net.ipv4.ip_local_port_range": "32768\t60999"},
        [("ports for connections to servers", "ok", "")],
    ),
    "reuse never": (
        {"net.ipv4.tcp_tw_reuse": "0"},
        [("net.ipv4.tcp_tw_reuse", "hint", "sysctl -w net.ipv4.tcp_tw_reuse=1")],
    ),
    "reuse on loopback": (
        {"net.ipv4.tcp_tw_reuse": "2"},
        [("net.ipv4.tcp_tw_reuse", "hint", "sysctl -w net.ipv4.tcp_tw_reuse=1")],
    ),
    "reuse": ({"net.ipv4.tcp_tw_reuse": "1"}, [("net.ipv4.tcp_tw_reuse", "ok", "")]),
    "a small table": (
        {"net.netfilter.nf_conntrack_max": "19999"},
        [("net.netfilter.nf_conntrack_max", "look", "nf_conntrack_max=20000")],
    ),
}
V2 = {
    "proc/self/cgroup": "0::/system.slice/trunkline.service",
    "sys/fs/cgroup/cgroup.controllers": "cpu",
}
SLICE = "sys/fs/cgroup/system.slice"
SERVICE = f"{SLICE}/trunkline.service"
V1 = {"proc/self/cgroup": "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x"}
FITTING = (400 << 20) + 1
CGROUPS: dict[str, tuple[dict[str, str], list[tuple[str, str, str]]]] = {
    "none": ({}, []),
    "no limits": ({**V2, f"{SERVICE}/cpu.max": "max 100000", f"{SERVICE}/memory.max": "max"}, []),
    "two CPUs for four threads": (
        {**V2, f"{SERVICE}/cpu.max": "200000 100000"},
        [("CPU limit", "look", "[runtime] threads = 2   (systemd: CPUQuota=400%)")],
    ),
    "half a CPU": (
        {**V2, f"{SERVICE}/cpu.max": "50000 100000"},
        [("CPU limit", "look", "[runtime] threads = 1")],
    ),
    "three and a half": ({**V2, f"{SERVICE}/cpu.max": "350000 100000"}, [("CPU limit", "ok", "")]),
    "a limit further up": (
        {**V2, f"{SERVICE}/cpu.max": "max 100000", f"{SLICE}/cpu.max": "100000 100000"},
        [("CPU limit", "look", "[runtime] threads = 1")],
    ),
    "little memory": (
        {**V2, f"{SERVICE}/memory.max": str(160 << 20)},
        [("memory limit", "look", "limits.connections = 4000   (systemd: MemoryMax=219M)")],
    ),
    "enough memory": ({**V2, f"{SERVICE}/memory.max": str(FITTING)}, [("memory limit", "ok", "")]),
    "version 1": (
        {
            **V1,
            "sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us": "200000",
            "sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": str(1 << 20),
        },
        [("CPU limit", "look", "threads = 2"), ("memory limit", "look", "connections = 0 ")],
    ),
    "version 1 without limits": (
        {
            **V1,
            "sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": "9223372036854771712",
        },
        [],
    ),
    "seen from within a container": (
        {**V1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000"},
        [("CPU limit", "look", "threads = 1")],
    ),
    "both versions at once": (
        {"proc/self/cgroup": "0::/x", "sys/fs/cgroup/unified/x/cpu.max": "100000 100000"},
        [("CPU limit", "look", "threads = 1")],
    ),
}
MACHINE: dict[str, tuple[dict[str, str], list[tuple[str, str, str]]]] = {
    "a quick clock": (
        {f"{CLOCK}/current_clocksource": "tsc"},
        [("worker threads", "ok", ""), ("clock", "ok", "")],
    ),
    "a slow one": (
        {
            f"{CLOCK}/current_clocksource": "hpet",
            f"{CLOCK}/available_clocksource": "hpet tsc acpi_pm",
        },
        [
            ("worker threads", "ok", ""),
            ("clock", "hint", f"echo tsc > /{CLOCK}/current_clocksource"),
        ],
    ),
    "no other": (
        {f"{CLOCK}/current_clocksource": "hpet", f"{CLOCK}/available_clocksource": "hpet"},
        [("worker threads", "ok", ""), ("clock", "hint", "ask whoever runs the machine")],
    ),
}


def check(found: list[Finding], expected: list[tuple[str, str, str]]) -> None:
    assert [(each.subject, each.level) for each in found] == [row[:2] for row in expected]
    for each, (_, level, remedy) in zip(found, expected, strict=True):
        assert remedy in each.remedy
        assert bool(each.why) == bool(each.remedy) == (level != "ok")


@pytest.mark.parametrize("name", FILES)
def test_files(make_host: MakeHost, name: str) -> None:
    tree, expected = FILES[name]
    check(list(files(make_host(tree), NEEDS)), expected)


@pytest.mark.parametrize("name", NETWORK)
def test_network(make_host: MakeHost, name: str) -> None:
    tree, expected = NETWORK[name]
    check(list(network(make_host(tree), NEEDS)), expected)


@pytest.mark.parametrize("name", CGROUPS)
def test_cgroups(make_host: MakeHost, name: str) -> None:
    tree, expected = CGROUPS[name]
    check(list(cgroups(make_host(tree), NEEDS)), expected)


@pytest.mark.parametrize("name", MACHINE)
def test_machine(make_host: MakeHost, name: str) -> None:
    tree, expected = MACHINE[name]
    check(list(machine(make_host(tree), NEEDS, 4)), expected)


def test_more_threads_than_cpus(make_host: MakeHost) -> None:
    (found,) = machine(make_host({}), NEEDS, 2)
    assert (found.level, found.remedy) == ("hint", "[runtime] threads = 2")


def test_reuse_of_ports_matters_beyond_this_host(make_host: MakeHost) -> None:
    host = make_host({"net.ipv4.tcp_tw_reuse": "2"})
    (found,) = network(host, Needs(reaches_out=False))
    assert found.level == "ok"


@pytest.mark.parametrize(
    ("reserved", "remedy"),
    [
        ("", 'ip_local_reserved_ports="33000,40000"'),
        ("33000", 'ip_local_reserved_ports="33000,40000"'),
        ("32000-39999", 'ip_local_reserved_ports="32000-39999,40000"'),
        ("40000,33000-33001", ""),
    ],
)
def test_listening_ports_that_others_may_get(
    make_host: MakeHost, reserved: str, remedy: str
) -> None:
    listen = [Address("127.0.0.1", port) for port in (40_000, 443, 33_000)]
    host = make_host(
        {
            "net.ipv4.ip_local_port_range": "32768 60999",
            "net.ipv4.ip_local_reserved_ports": reserved,
        }
    )
    _, *found = network(host, Needs(listen=listen))
    assert [each.level for each in found] == (["hint"] if remedy else [])
    assert all(remedy in each.remedy for each in found)


def test_a_host_that_tells_nothing(make_host: MakeHost) -> None:
    """Another kernel, a locked-down container: what cannot be read is left out."""
    assert [each.subject for each in host_findings(make_host({}), NEEDS)] == ["worker threads"]


def test_what_a_configuration_needs(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    text = lb_config(9_200, [9_100], listener="limits.connections = 500")
    file.write_text(f"[runtime]\nthreads = 3\n{text}")
    expected = Needs(3, 500, [Address("127.0.0.1", 9_200)], reaches_out=False)
    assert needs_of(load(file, load_roles())) == expected


def test_what_a_configuration_needs_without_saying(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text(lb_config(9_200, []).replace("servers = []", 'servers = ["192.0.2.1:80"]'))
    needs = needs_of(load(file, load_roles()))
    assert (needs.threads, needs.connections, needs.reaches_out) == (Needs().threads, 100_000, True)


def test_a_free_port(tmp_path: Path) -> None:
    assert probes.port(Address("127.0.0.1", free_port()), tmp_path / "t.toml").level == "ok"


def test_a_state_folder_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRUNKLINE_STATE_DIR", str(tmp_path / "file" / "state"))
    (found,) = probes.state_folder()
    assert found.level == "look"
    assert found.remedy.startswith("export TRUNKLINE_STATE_DIR=")


def test_this_host(tmp_path: Path, upstream: Upstream, port: int) -> None:
    """The ports of the running one are its own; of a stranger's, somebody must look."""
    with Service(tmp_path, lb_config(port, [upstream.port])) as service:
        done = service.command("doctor", "--json", "--config", str(service.config_path))
        assert done.returncode in {0, 1}
        found = {each["subject"]: each for each in json.loads(done.stdout)}
        address = f"listen 127.0.0.1:{port}"
        assert found[address]["level"] == "ok"
        assert f"process {service.pid}" in found[address]["state"]
        assert {"native module", "SO_REUSEPORT", "open files"} <= found.keys()
        other = tmp_path / "other.toml"
        other.write_text(lb_config(port, [upstream.port]))
        done = service.command("doctor", "--config", str(other))
        assert done.returncode == 1
        assert f"look  {address}: Address already in use" in done.stdout.splitlines()
        assert f"      do:  ss -ltnp 'sport = :{port}'   shows who has it" in done.stdout


def test_an_unsound_configuration(tmp_path: Path, upstream: Upstream, port: int) -> None:
    with Service(tmp_path, lb_config(port, [upstream.port])) as service:
        file = tmp_path / "other.toml"
        file.write_text("[lb]\nnonsense = 1\n")
        done = service.command("doctor", "--config", str(file))
    assert done.returncode == 1
    assert f"look  configuration: {file}:2: lb.nonsense: unknown key" in done.stdout


def test_a_configuration_that_only_the_engine_refuses(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text(lb_config(free_port(), [1], listener='limits.head = "1B"'))
    findings = {finding.subject: finding for finding in everything(file, load_roles())}
    assert findings["configuration"].level == "look"
    assert "lb.http.front.limits.head" in findings["configuration"].state
