"""TLS towards servers: whom we believe, which name we ask for, who we say we are.

The servers are nginx: one program, a port for each way to be right or wrong. What they answer is
what they have seen of us.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from testkit.certificates import DAY, Authority, Issued
from testkit.client import Client
from testkit.peers import write_nginx_config
from testkit.ports import free_port, is_listening
from testkit.process import Process
from testkit.site import Program, Site, server
from testkit.tls import toml
from testkit.upstream import Upstream, hang, response, send
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
_ANSWER = "$ssl_server_name|$ssl_client_s_dn|$ssl_protocol|$connection|$server_protocol"
_BOTH = "ssl_protocols TLSv1.2 TLSv1.3;"
NAME = "app.internal"


@dataclass(frozen=True)
class Heard:
    """What a server has seen of us."""

    name: str
    shown: str
    version: str
    connection: str
    protocol: str


@dataclass(frozen=True)
class Servers:
    """Ports by what is special about the server."""

    good: int
    asking: int
    strange: int
    other_name: int
    expired: int
    by_address: int
    old: int


def _block(port: int, issued: Issued, more: str = _BOTH) -> str:
    return (
        f"server {{ listen 127.0.0.1:{port} ssl http2; keepalive_timeout 60s; {more}"
        f"ssl_certificate {issued.certificate}; ssl_certificate_key {issued.key};"
        f'location / {{ return 200 "{_ANSWER}"; }} }}'
    )


def _blocks(ports: Servers, authority: Authority, stranger: Authority) -> str:
    good = authority.issue("app", [NAME, "*.app.internal"])
    asks = f"{_BOTH} ssl_verify_client on; ssl_client_certificate {authority.ca};"
    blocks = [
        _block(ports.good, good),
        _block(ports.asking, good, asks),
        _block(ports.strange, stranger.issue("strange-app", [NAME])),
        _block(ports.other_name, authority.issue("other-app", ["other.internal"])),
        _block(ports.expired, authority.issue("old-app", [NAME], starts=-2 * DAY, ends=-DAY)),
        _block(ports.by_address, authority.issue("address-app", ["127.0.0.1"])),
        _block(ports.old, good, "ssl_protocols TLSv1.2;"),
    ]
    return "\n".join(blocks)


@pytest.fixture(scope="module")
def servers(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, stranger: Authority
) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("servers")
    ports = Servers(*(free_port() for _ in range(7)))
    command = write_nginx_config(folder, "nginx", _blocks(ports, authority, stranger))
    with Process(command, directory=folder, name="nginx") as nginx:
        nginx.wait_ready(lambda: is_listening(ports.good))
        yield ports


@pytest.fixture(scope="module")
def us(authority: Authority) -> Issued:
    return authority.issue("us")


def site_to(port: int, *, host: str = "", more: str = "", **tls: object) -> Site:
    """A site with one server and the ``tls`` table of its pool."""
    keys = "\n".join(f"tls.{key} = {toml(value)}" for key, value in tls.items())
    address = server(port, host=host) if host else port
    return Site([address], pool=f"{keys}\n{more}")


def heard(client: Client) -> Heard:
    """What the server saw of a request on this connection."""
    answer = client.request(GET)
    assert answer.status == 200, answer
    return Heard(*answer.body.decode().split("|"))


def heard_by(program: Program, site: Site) -> Heard:
    program.serve(site)
    with site.client() as client:
        return heard(client)


def fails(program: Program, site: Site, status: int, reason: str) -> None:
    """Answer, metric, and whose fault it is."""
    program.serve(site)
    assert site.get().status == status
    program.wait_for_failures(site, reason)
    listener = f"lb.http.{site.name}"
    recent = program.trunkline.status()["recent_errors"]
    sides = [each["side"] for each in recent if each["listener"] == listener]
    assert sides == ["upstream"]


class TestVerification:
    """Certificates must lead to an authority that is believed, be in date and for the name."""

    def test_our_own_authority(
        self, program: Program, servers: Servers, authority: Authority
    ) -> None:
        site = site_to(servers.good, ca=authority.ca, server_name=NAME)
        assert heard_by(program, site).version == "TLSv1.3"

    @pytest.mark.parametrize("kind", ["strange", "other_name", "expired", "by_address"])
    def test_who_is_not_believed(
        self, program: Program, servers: Servers, authority: Authority, kind: str
    ) -> None:
        site = site_to(getattr(servers, kind), ca=authority.ca, server_name=NAME)
        fails(program, site, 502, "upstream_bad_certificate")

    def test_the_systems_authorities_do_not_know_ours(
        self, program: Program, servers: Servers
    ) -> None:
        site = Site([server(servers.good, host=NAME)], pool="tls = true")
        fails(program, site, 502, "upstream_bad_certificate")

    def test_an_address_is_a_name(
        self, program: Program, servers: Servers, authority: Authority
    ) -> None:
        """Without any other, the certificate must be for the address."""
        site = site_to(servers.by_address, ca=authority.ca)
        assert heard_by(program, site).name == ""
        fails(program, site_to(servers.good, ca=authority.ca), 502, "upstream_bad_certificate")

    @pytest.mark.parametrize("kind", ["strange", "other_name", "expired"])
    def test_believing_everybody(self, program: Program, servers: Servers, kind: str) -> None:
        site = site_to(getattr(servers, kind), verify=False, server_name=NAME)
        assert heard_by(program, site).name == NAME

    def test_other_servers_of_the_pool_are_tried(
        self, program: Program, servers: Servers, authority: Authority
    ) -> None:
        """Nothing was sent yet, so any method may be."""
        ports = [servers.strange, servers.good]
        keys = f'tls = {{ ca = "{authority.ca}", server_name = "{NAME}" }}'
        site = Site(ports, pool=keys)
        program.serve(site)
        with site.client() as client:
            for _ in range(4):
                answer = client.request(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
                assert answer.status == 200

    def test_health_checks_do_not_believe_either(
        self, program: Program, servers: Servers, authority: Authority
    ) -> None:
        ports = [servers.strange, servers.good]
        health = 'health = { kind = "http", interval = "50ms", fall = 1, rise = 1 }'
        keys = f'tls = {{ ca = "{authority.ca}", server_name = "{NAME}" }}\n{health}'
        site = Site(ports, pool=keys)
        program.serve(site)
        wait_until(
            lambda: [entry["healthy"] for entry in program.servers(site)] == [False, True],
            timeout_s=5,
            what="the checks",
        )


class TestName:
    """What is asked for by SNI."""

    def test_the_pools_name(self, program: Program, servers: Servers, authority: Authority) -> None:
        site = site_to(
            servers.good, host="x.app.internal", ca=authority.ca, server_name="y.app.internal"
        )
        assert heard_by(program, site).name == "y.app.internal"

    def test_the_servers_name(
        self, program: Program, servers: Servers, authority: Authority
    ) -> None:
        site = site_to(servers.good, host="x.app.internal", ca=authority.ca)
        assert heard_by(program, site).name == "x.app.internal"

    def test_the_name_in_the_address(
        self, program: Program, servers: Servers, authority: Authority
    ) -> None:
        site = Site([f'"localhost:{servers.good}"'], pool="tls.verify = false")
        assert heard_by(program, site).name == "localhost"

    def test_the_clients_host_is_not_it(
        self, program: Program, servers: Servers, authority: Authority
    ) -> None:
        """A client does not choose whom we believe."""
        site = site_to(servers.good, ca=authority.ca, server_name=NAME)
        program.serve(site)
        with site.client() as client:
            answer = client.request(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert answer.body.startswith(NAME.encode() + b"|")


class TestWhoWeAre:
    """Our certificate, where a server asks for one."""

    def test_shown(
        self, program: Program, servers: Servers, authority: Authority, us: Issued
    ) -> None:
        ours: dict[str, Any] = {"certificate": us.certificate, "key": us.key}
        site = site_to(servers.asking, ca=authority.ca, server_name=NAME, **ours)
        assert heard_by(program, site).shown == "CN=us"

    def test_not_shown_to_who_does_not_ask(
        self, program: Program, servers: Servers, authority: Authority, us: Issued
    ) -> None:
        ours: dict[str, Any] = {"certificate": us.certificate, "key": us.key}
        site = site_to(servers.good, ca=authority.ca, server_name=NAME, **ours)
        assert heard_by(program, site).shown == ""

    def test_missing(self, program: Program, servers: Servers, authority: Authority) -> None:
        """So nginx lets the handshake pass and answers 400."""
        site = site_to(servers.asking, ca=authority.ca, server_name=NAME)
        program.serve(site)
        answer = site.get()
        assert answer.status == 400
        assert b"No required SSL certificate was sent" in answer.body

    def test_a_new_one_comes_by_a_reload(
        self, program: Program, servers: Servers, authority: Authority
    ) -> None:
        """And connections that were made with the old one are not used any more."""
        first = authority.issue("first-us")
        ours: dict[str, Any] = {"certificate": first.certificate, "key": first.key}
        site = site_to(servers.asking, ca=authority.ca, server_name=NAME, **ours)
        program.serve(site)
        with site.client() as client:
            assert heard(client).shown == "CN=first-us"
            second = authority.issue("second-us")
            first.certificate.write_bytes(second.certificate.read_bytes())
            first.key.write_bytes(second.key.read_bytes())
            program.serve(site)
            assert heard(client).shown == "CN=second-us"


class TestAgreement:
    """Versions, protocols, and servers that do not speak TLS."""

    def test_the_lowest_version(
        self, program: Program, servers: Servers, authority: Authority
    ) -> None:
        site = site_to(servers.old, ca=authority.ca, server_name=NAME)
        assert heard_by(program, site).version == "TLSv1.2"
        site = site_to(servers.old, ca=authority.ca, server_name=NAME, min_version="1.3")
        fails(program, site, 502, "upstream_tls_failed")

    @pytest.mark.parametrize(
        ("protocol", "expected"), [("http/1.1", "HTTP/1.1"), ("h2", "HTTP/2.0")]
    )
    def test_protocols(
        self,
        program: Program,
        servers: Servers,
        authority: Authority,
        protocol: str,
        expected: str,
    ) -> None:
        more = f'protocol = "{protocol}"'
        site = site_to(servers.good, ca=authority.ca, server_name=NAME, more=more)
        assert heard_by(program, site).protocol == expected

    def test_a_server_without_http2(self, program: Program, authority: Authority) -> None:
        context = authority.server_context(authority.issue("plain-app", [NAME]), alpn=["http/1.1"])
        for offers in (context, authority.server_context(authority.issue("mute-app", [NAME]))):
            with Upstream(tls=offers) as upstream:
                more = 'protocol = "h2"'
                site = site_to(upstream.port, ca=authority.ca, server_name=NAME, more=more)
                fails(program, site, 502, "upstream_wrong_protocol")
                assert upstream.requests == []

    def test_a_server_that_speaks_plain(self, program: Program) -> None:
        with Upstream([send(response(b"speak TLS", "400 Bad Request"))]) as upstream:
            site = site_to(upstream.port, verify=False)
            fails(program, site, 502, "upstream_tls_failed")

    def test_a_server_that_says_nothing(self, program: Program) -> None:
        with Upstream([hang]) as upstream:
            site = site_to(upstream.port, verify=False, more='connect_timeout = "100ms"')
            fails(program, site, 504, "connect_timeout")

    def test_a_server_that_leaves(self, program: Program) -> None:
        with Upstream([]) as upstream:
            site = site_to(upstream.port, verify=False)
            fails(program, site, 502, "connect_failed")


class TestIdentity:
    """Connections are used again only for the same name, authorities and certificate of ours."""

    @pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
    def test_a_connection_is_used_again(
        self, program: Program, servers: Servers, authority: Authority, protocol: str
    ) -> None:
        more = f'protocol = "{protocol}"'
        site = site_to(servers.good, ca=authority.ca, server_name=NAME, more=more)
        program.serve(site)
        with site.client() as client:
            first = heard(client)
            assert heard(client).connection == first.connection
            program.serve(site)
            assert heard(client).connection == first.connection, "a reload changes nothing"

    @pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
    def test_pools_share_nothing(
        self,
        *,
        program: Program,
        servers: Servers,
        authority: Authority,
        us: Issued,
        protocol: str,
    ) -> None:
        """One listener, so that all is on one worker; a route for each pool."""
        other = authority.issue(f"other-us-{protocol[0]}{protocol[-1]}")
        pools = {
            "a": (f'server_name = "{NAME}"', us),
            "b": ('server_name = "b.app.internal"', us),
            "c": (f'server_name = "{NAME}"', other),
        }
        site = Site([servers.asking], route='path = "/none"', pool="tls.verify = false")
        for name, (tls, issued) in pools.items():
            site.config += _route(site, name)
            more = f'protocol = "{protocol}"\ntls.ca = "{authority.ca}"\ntls.{tls}'
            site.config += _pool(name, servers.asking, issued, more)
        program.serve(site)
        seen: dict[str, list[Heard]] = {"a": [], "b": [], "c": []}
        with site.client() as client:
            for name in "abcabccba":
                answer = client.request(GET.replace(b"/ ", b"/%s " % name.encode()))
                seen[name].append(Heard(*answer.body.decode().split("|")))
        assert {each.name for each in seen["b"]} == {"b.app.internal"}
        assert {each.name for each in seen["a"] + seen["c"]} == {NAME}
        assert {each.shown for each in seen["a"] + seen["b"]} == {"CN=us"}
        assert {each.shown for each in seen["c"]} == {f"CN={other.certificate.stem}"}
        connections = [{each.connection for each in seen[name]} for name in "abc"]
        assert [len(numbers) for numbers in connections] == [1, 1, 1]
        assert len(set.union(*connections)) == 3

    @pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
    def test_a_reload_that_changes_who_it_is(
        self, program: Program, servers: Servers, authority: Authority, protocol: str
    ) -> None:
        """Connections that wait are not used under another name."""
        more = f'protocol = "{protocol}"'
        known: dict[str, Any] = {"ca": authority.ca, "more": more}
        site = site_to(servers.good, server_name="one.app.internal", **known)
        program.serve(site)
        with site.client() as client:
            first = heard(client)
            keys = f'tls = {{ ca = "{authority.ca}", server_name = "two.app.internal" }}\n{more}'
            site.change([servers.good], pool=keys)
            program.serve(site)
            second = heard(client)
        assert (first.name, second.name) == ("one.app.internal", "two.app.internal")
        assert first.connection != second.connection

    def test_believing_less_than_before(
        self, program: Program, servers: Servers, authority: Authority
    ) -> None:
        """A connection to whom we would not believe any more is not used."""
        site = site_to(servers.strange, verify=False, server_name=NAME)
        program.serve(site)
        with site.client() as client:
            assert heard(client).name == NAME
            keys = f'tls = {{ ca = "{authority.ca}", server_name = "{NAME}" }}'
            site.change([servers.strange], pool=keys)
            program.serve(site)
            assert client.request(GET).status == 502


def _route(site: Site, name: str) -> str:
    return f'[[lb.http.{site.name}.routes]]\npath = "/{name}"\npool = "identity-{name}"\n'


def _pool(name: str, port: int, issued: Issued, more: str) -> str:
    ours = f'tls.certificate = "{issued.certificate}"\ntls.key = "{issued.key}"'
    return f'[lb.pools.identity-{name}]\nservers = ["127.0.0.1:{port}"]\n{more}\n{ours}\n'
