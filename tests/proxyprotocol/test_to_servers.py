"""Headers towards servers: byte for byte, before TLS, and on connections that serve one client."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.certificates import Authority
from testkit.client import Client
from testkit.peers import write_nginx_config
from testkit.ports import free_port, is_listening
from testkit.process import Process
from testkit.proxyheader import LOCAL, PROXY, SIGNATURE, TCP4, addresses, v1, v2
from testkit.site import Program, Site
from testkit.upstream import (
    OK,
    Connection,
    Script,
    Upstream,
    forever,
    hang,
    read_head,
    read_request,
    reset,
    send,
)
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"
CLIENT, RELAY = ("203.0.113.7", 40_000), ("198.51.100.1", 443)
CLIENT6, RELAY6 = ("2001:db8::7", 40_000), ("2001:db8::1", 443)


async def read_header(connection: Connection) -> None:
    """Record the header of either version."""
    start = await connection.reader.readexactly(6)
    if start == b"PROXY ":
        rest = await connection.reader.readuntil(b"\r\n")
    else:
        rest = await connection.reader.readexactly(10)
        rest += await connection.reader.readexactly(int.from_bytes(rest[-2:], "big"))
    connection.requests.append(start + rest)


ONE: Script = [read_header, read_request, send(OK), hang]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Records headers and requests in turn; would take more requests on a connection."""
    with Upstream([read_header, forever(read_request, send(OK))]) as server:
        yield server


def site_with(
    program: Program, upstream: Upstream, version: str, *, listener: str = "", more: str = ""
) -> Site:
    keys = f'proxy_protocol = "{version}"\n{more}'
    site = Site([upstream.port], listener=listener, pool=keys)
    program.serve(site)
    return site


def ends(client: Client, site: Site) -> tuple[tuple[str, int], tuple[str, int]]:
    """The client's address, and the one that it connected to."""
    host, port = client.socket.getsockname()
    return (host, port), ("127.0.0.1", site.port)


def test_version_1(program: Program, upstream: Upstream) -> None:
    site = site_with(program, upstream, "v1")
    with site.client() as client:
        assert client.request(GET).status == 200
        assert upstream.requests[0] == v1(*ends(client, site))
    assert upstream.requests[1].startswith(b"GET / HTTP/1.1\r\n")


def test_version_2(program: Program, upstream: Upstream) -> None:
    site = site_with(program, upstream, "v2")
    with site.client() as client:
        assert client.request(GET).status == 200
        header = upstream.requests[0]
        fixed = SIGNATURE + bytes([PROXY, TCP4])
        assert header.startswith(fixed)
        assert header[16:28] == addresses(*ends(client, site))


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("pair", [(CLIENT, RELAY), (CLIENT6, RELAY6)], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("told_by", [v1, v2])
def test_what_we_were_told_is_passed_on(
    *,
    program: Program,
    upstream: Upstream,
    version: str,
    pair: tuple[tuple[str, int], tuple[str, int]],
    told_by: object,
) -> None:
    """From version to version: client and destination as the relay before us has them."""
    assert callable(told_by)
    site = site_with(program, upstream, version, listener="proxy_protocol = true")
    with site.client() as client:
        client.send(told_by(*pair))
        assert client.request(GET).status == 200
    expected = v1(*pair) if version == "v1" else v2(*pair)
    assert upstream.requests[0] == expected


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_connections_are_not_used_again(program: Program, upstream: Upstream, version: str) -> None:
    """Neither for another client, nor for the same."""
    site = site_with(program, upstream, version)
    with site.client() as one, site.client() as two:
        for client in (one, two, one, two):
            assert client.request(GET).status == 200
    assert upstream.connection_count == 4
    headers = upstream.requests[::2]
    assert headers[0] == headers[2] != headers[1] == headers[3]
    wait_until(lambda: upstream.open_count == 0, timeout_s=5, what="the connections to end")


def test_a_reload_that_turns_it_on(program: Program) -> None:
    """Connections that wait had no header, and are not used."""
    with Upstream([forever(read_request, send(OK))], ONE) as upstream:
        site = Site([upstream.port])
        program.serve(site)
        with site.client() as client:
            assert client.request(GET).status == 200
            site.change([upstream.port], pool='proxy_protocol = "v1"')
            program.serve(site)
            assert client.request(GET).status == 200
            assert upstream.requests[1] == v1(*ends(client, site))


def test_another_try_has_a_header(program: Program) -> None:
    with Upstream([read_header, read_request, reset]) as bad, Upstream(ONE) as good:
        site = Site([bad.port, good.port], pool='proxy_protocol = "v1"')
        program.serve(site)
        with site.client() as client:
            for _ in range(2):
                assert client.request(GET).status == 200
            header = v1(*ends(client, site))
        assert set(bad.requests[::2] + good.requests[::2]) == {header}


def test_a_tunnel(program: Program) -> None:
    async def echo(connection: Connection) -> None:
        connection.writer.write(await connection.reader.read(100))

    with Upstream([read_header, read_head, send(SWITCH), echo]) as upstream:
        site = site_with(program, upstream, "v2")
        with site.client() as client:
            assert client.request(UPGRADE).status == 101
            client.send(b"hello")
            assert client.read_until_close() == b"hello"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_health_checks(program: Program, upstream: Upstream, version: str) -> None:
    """They are ours: LOCAL, or our own addresses."""
    more = 'health = { kind = "http", interval = "50ms", rise = 1 }'
    site = site_with(program, upstream, version, more=more)
    header = upstream.wait_for_requests(2)[0]
    if version == "v2":
        assert header[:13] == SIGNATURE + bytes([LOCAL])
    else:
        assert header.startswith((b"PROXY TCP4 127.0.0.1 127.0.0.1 ", b"PROXY UNKNOWN"))
        assert header.endswith(b" %d\r\n" % upstream.port) or header == b"PROXY UNKNOWN\r\n"
    wait_until(lambda: program.servers(site)[0]["healthy"], timeout_s=5, what="the check")


# --- a real server, which speaks TLS behind the header ---

_ANSWER = "$proxy_protocol_addr|$proxy_protocol_port|$remote_port|$connection|$scheme"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def nginx(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[tuple[int, int]]:
    """Ports of a plain server and of one with TLS."""
    folder: Path = tmp_path_factory.mktemp("nginx")
    plain, secure = free_port(), free_port()
    issued = authority.issue("app", ["app.internal"])
    answer = f'location / {{ return 200 "{_ANSWER}"; }}'
    http = (
        f"server {{ listen 127.0.0.1:{plain} proxy_protocol; {answer} }}"
        f"server {{ listen 127.0.0.1:{secure} ssl proxy_protocol; ssl_certificate "
        f"{issued.certificate}; ssl_certificate_key {issued.key}; {answer} }}"
    )
    command = write_nginx_config(folder, "nginx", http)
    with Process(command, directory=folder, name="nginx") as process:
        process.wait_ready(lambda: is_listening(secure))
        yield plain, secure


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nginx(
    program: Program, nginx: tuple[int, int], authority: Authority, version: str, scheme: str
) -> None:
    """It believes the header, in the clear and before TLS."""
    tls = f'tls = {{ ca = "{authority.ca}", server_name = "app.internal" }}\n'
    pool = f'proxy_protocol = "{version}"\n{tls if scheme == "https" else ""}'
    site = Site([nginx[scheme == "https"]], pool=pool)
    program.serve(site)
    with site.client() as client:
        host, port = client.socket.getsockname()
        answers = [client.request(GET).body.decode().split("|") for _ in range(2)]
    assert [answer[:2] for answer in answers] == [[host, str(port)]] * 2
    assert {answer[4] for answer in answers} == {scheme}
    assert len({answer[3] for answer in answers}) == 2
