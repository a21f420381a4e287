"""Pools whose servers are found while the program runs: by a file, by DNS."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from testkit.certificates import Authority
from testkit.nameserver import Nameserver, Records
from testkit.site import Program, Site
from testkit.tls import listener_tls
from testkit.upstream import Script, Upstream, forever, read_request, response, send
from testkit.waiting import wait_until


def named(name: str) -> Script:
    return [forever(read_request, send(response(name.encode())))]


@pytest.fixture
def upstreams() -> Iterator[list[Upstream]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Upstream(named(name))) for name in "abc"]


def site_with(pool: str, servers: list[int] | None = None) -> Site:
    site = Site(servers or [], pool=pool)
    if not servers:
        site.config = site.config.replace("servers = []\n", "")
    return site


def answers(site: Site) -> set[str]:
    """Who answers, as far as six requests show: the scheduler takes its servers in turn."""
    return {site.get().body.decode() for _ in range(6)}


def source(program: Program, site: Site) -> dict[str, Any]:
    """What the admin API tells of the site's source."""
    known = program.trunkline.status()["discovery"]
    (found,) = [entry for entry in known if entry["pool"] == f"lb.{site.name}"]
    return dict(found)


def wait_for_answers(site: Site, expected: str) -> None:
    wait_until(lambda: answers(site) == set(expected), timeout_s=8, what=f"answers of {expected}")


class ServerList:
    """A file with servers, replaced as a careful writer does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, *servers: Upstream) -> None:
        self.write_text(json.dumps([f"127.0.0.1:{server.port}" for server in servers]))

    def write_text(self, text: str) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.rename(self.path)

    @property
    def pool(self) -> str:
        return f'discover = {{ kind = "file", path = "{self.path}", interval = "100ms" }}'


@pytest.fixture
def listed(tmp_path: Path) -> ServerList:
    return ServerList(tmp_path / "servers.json")


def test_a_files_servers_come_and_go(
    program: Program, upstreams: list[Upstream], listed: ServerList
) -> None:
    a, b, c = upstreams
    listed.write(a, b)
    site = site_with(listed.pool)
    program.serve(site)
    assert answers(site) == {"a", "b"}, "found before the first request"
    listed.write(b, c)
    wait_for_answers(site, "bc")
    told = source(program, site)
    assert (told["ok"], told["error"], len(told["servers"])) == (True, None, 2)


@pytest.mark.parametrize("broken", ["[", "[]", '["127.0.0.1"]'])
def test_the_last_good_list_stays(
    program: Program, upstreams: list[Upstream], listed: ServerList, broken: str
) -> None:
    a, b, _ = upstreams
    listed.write(a)
    site = site_with(listed.pool)
    program.serve(site)
    listed.write_text(broken)
    wait_until(lambda: not source(program, site)["ok"], timeout_s=8, what="the failure to be told")
    assert source(program, site)["error"].startswith(
        f"{'file ' if broken == '[]' else ''}{listed.path}"
    )
    assert answers(site) == {"a"}
    listed.write(b)
    wait_for_answers(site, "b")
    assert source(program, site)["ok"]


def test_written_servers_stay_beside_found_ones(
    program: Program, upstreams: list[Upstream], listed: ServerList
) -> None:
    a, b, _ = upstreams
    listed.write(a, b)
    site = site_with(listed.pool, [a.port])
    program.serve(site)
    assert answers(site) == {"a", "b"}
    assert [entry["name"] for entry in program.servers(site)] == [
        f"127.0.0.1:{a.port}",
        f"127.0.0.1:{b.port}",
    ]


def test_a_list_that_comes_late(
    program: Program, upstreams: list[Upstream], listed: ServerList
) -> None:
    site = site_with(listed.pool)
    program.serve(site)
    refused = site.get()
    assert (refused.status, b"no_server" in refused.body) == (503, True)
    listed.write(upstreams[0])
    wait_for_answers(site, "a")


def test_a_reload_loses_nothing_that_was_found(
    program: Program, upstreams: list[Upstream], listed: ServerList
) -> None:
    """Not even if the source is gone by then: the same question keeps its answer."""
    listed.write(upstreams[0])
    site = site_with(listed.pool)
    program.serve(site)
    program.change_server(site, upstreams[0].port, weight=7)
    listed.path.unlink()
    wait_until(lambda: not source(program, site)["ok"], timeout_s=8, what="the failure to be told")
    program.serve(site)
    assert answers(site) == {"a"}
    assert [entry["weight"] for entry in program.servers(site)] == [7]


def test_a_reload_that_is_refused_changes_no_source(
    program: Program, upstreams: list[Upstream], listed: ServerList, tmp_path: Path
) -> None:
    listed.write(upstreams[0])
    site = site_with(listed.pool)
    program.serve(site)
    other = ServerList(tmp_path / "other.json")
    other.write(upstreams[1])
    refused = Site([], pool=other.pool, route="priority = 1\nregex = '('")
    refused.config = refused.config.replace("servers = []\n", "")
    with pytest.raises(AssertionError):
        program.serve(refused)
    assert [entry["pool"] for entry in program.trunkline.status()["discovery"]] == [
        f"lb.{site.name}"
    ]
    listed.write(upstreams[2])
    wait_for_answers(site, "c")


def test_a_swap_that_fails_is_tried_again(
    program: Program, upstreams: list[Upstream], listed: ServerList, tmp_path: Path
) -> None:
    """What each swap reads anew may be broken just then: the list does not change once more."""
    issued = Authority(tmp_path).issue("site", ["site.example"])
    sound = issued.certificate.read_bytes()
    listed.write(upstreams[0])
    site = site_with(listed.pool)
    program.serve(site, Site([upstreams[0].port], listener=listener_tls(issued)))
    issued.certificate.write_bytes(b"broken")
    listed.write(upstreams[1])
    refused = f"found servers refused: {program.trunkline.config_path}"
    output = program.trunkline.process.output
    wait_until(lambda: refused in output(), timeout_s=8, what="the refusal")
    assert answers(site) == {"a"}
    issued.certificate.write_bytes(sound)
    wait_for_answers(site, "b")


def services(*servers: Upstream, ttl_s: int = 0) -> Records:
    texts = [f"0 1 {server.port} host.test." for server in servers]
    return {("_http._tcp.test", "SRV"): (ttl_s, texts), ("host.test", "A"): (60, ["127.0.0.1"])}


def by_srv(nameserver: Nameserver, more: str = "") -> str:
    return (
        '[lb.pools.POOL.discover]\nkind = "dns"\nname = "_http._tcp.test"\ntype = "SRV"\n'
        f'nameservers = ["{nameserver.address}"]\ninterval = "100ms"\n{more}'
    )


def srv_site(nameserver: Nameserver, more: str = "") -> Site:
    site = site_with(by_srv(nameserver, more))
    site.config = site.config.replace("POOL", site.name)
    return site


def test_records_come_and_go(program: Program, upstreams: list[Upstream]) -> None:
    a, b, c = upstreams
    with Nameserver(services(a, b)) as nameserver:
        site = srv_site(nameserver)
        program.serve(site)
        assert answers(site) == {"a", "b"}
        nameserver.records = services(c)
        wait_for_answers(site, "c")
        assert source(program, site)["source"] == "SRV _http._tcp.test"


def test_a_nameserver_that_fails_changes_nothing(
    program: Program, upstreams: list[Upstream]
) -> None:
    a, b, _ = upstreams
    with Nameserver(services(a)) as nameserver:
        site = srv_site(nameserver, 'timeout = "200ms"')
        program.serve(site)
        nameserver.silent = True
        wait_until(lambda: not source(program, site)["ok"], timeout_s=8, what="the failure")
        assert answers(site) == {"a"}
        nameserver.silent = False
        nameserver.records = services(b)
        wait_for_answers(site, "b")
        nameserver.records = {}
        wait_until(lambda: not source(program, site)["ok"], timeout_s=8, what="the failure")
        assert answers(site) == {"b"}, "a name that is gone is a failure, too"


def test_an_answer_holds_for_its_time(program: Program, upstreams: list[Upstream]) -> None:
    """A second pool asks every tenth of a second meanwhile, so time does pass."""
    with (
        Nameserver(services(upstreams[0], ttl_s=60)) as patient,
        Nameserver(services(upstreams[0])) as hasty,
    ):
        sites = srv_site(patient), srv_site(hasty)
        program.serve(*sites)
        wait_until(lambda: hasty.asked("_http._tcp.test") > 5, timeout_s=8, what="more questions")
        assert patient.asked("_http._tcp.test") == 1


def test_addresses_with_one_port(program: Program, upstreams: list[Upstream]) -> None:
    with Nameserver({("app.test", "A"): (0, ["127.0.0.1"])}) as nameserver:
        pool = (
            f'discover = {{ kind = "dns", name = "app.test", port = {upstreams[0].port}, '
            f'nameservers = ["{nameserver.address}"] }}'
        )
        site = site_with(pool)
        program.serve(site)
        assert answers(site) == {"a"}


def test_who_is_not_wanted_any_more_is_not_asked(
    program: Program, upstreams: list[Upstream]
) -> None:
    with (
        Nameserver(services(upstreams[0])) as former,
        Nameserver(services(upstreams[0])) as present,
    ):
        program.serve(srv_site(former))
        program.serve(srv_site(present))
        before = former.asked("_http._tcp.test")
        wait_until(lambda: present.asked("_http._tcp.test") > 5, timeout_s=8, what="questions")
        assert former.asked("_http._tcp.test") == before
