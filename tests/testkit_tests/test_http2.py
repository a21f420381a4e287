"""The kit's HTTP/2 against what others have written: nginx as a server, curl as a client."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hyperframe.frame import SettingsFrame

from testkit.certificates import Authority
from testkit.http2 import Code
from testkit.http2_client import ConnectionOverError, Http2Client, head
from testkit.http2_upstream import Http2Upstream, ServerConnection, answer_with
from testkit.peers import write_nginx_config
from testkit.ports import free_port, is_listening
from testkit.process import Process

BIG = bytes(range(256)) * 4_000


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder: Path = tmp_path_factory.mktemp("nginx")
    (folder / "big").write_bytes(BIG)
    port, echo = free_port(), free_port()
    http = (
        f"server {{ listen 127.0.0.1:{port} http2; root {folder}; client_max_body_size 0;"
        f"location /up {{ proxy_pass http://127.0.0.1:{echo}; }} }}"
        f'server {{ listen 127.0.0.1:{echo}; location / {{ return 200 "$request_length"; }} }}'
    )
    command = write_nginx_config(folder, "nginx", http)
    with Process(command, directory=folder, name="nginx") as process:
        process.wait_ready(lambda: is_listening(port))
        yield port


def test_client_reads_much(nginx: int) -> None:
    """Beyond the windows, which it widens."""
    with Http2Client(nginx) as client:
        for _ in range(2):
            message = client.request(head("GET", "/big"))
            assert (message.status, bytes(message.body)) == (200, BIG)


def test_client_sends_much(nginx: int) -> None:
    """Within the windows, which it waits for."""
    with Http2Client(nginx) as client:
        message = client.request(head("POST", "/up"), BIG)
        assert message.status == 200
        assert int(message.body) > 0


def test_client_side_by_side(nginx: int) -> None:
    with Http2Client(nginx) as client:
        streams = [client.open(head("GET", "/big")) for _ in range(10)]
        assert all(bytes(client.response(stream).body) == BIG for stream in streams)


def test_client_holds_a_window(nginx: int) -> None:
    with Http2Client(nginx, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1_000}) as client:
        stream = client.open(head("GET", "/big"))
        client.endpoint.held.add(stream)
        message = client.message(stream)
        client.run_until(lambda: len(message.body) == 1_000)
        client.ping()
        assert len(message.body) == 1_000
        client.widen(stream, 500)
        client.run_until(lambda: len(message.body) == 1_500)


def test_client_hears_errors(nginx: int) -> None:
    with Http2Client(nginx) as client:
        client.widen(0, 0)
        assert client.goaway_code() == Code.PROTOCOL_ERROR


def curl(port: int, *options: str, scheme: str = "http") -> bytes:
    command = ["curl", "--silent", "--show-error", "--insecure", "--noproxy", "*", *options]
    done = subprocess.run(
        [*command, f"{scheme}://127.0.0.1:{port}/a?b"], capture_output=True, timeout=10, check=True
    )
    return done.stdout


def test_server_answers_curl() -> None:
    with Http2Upstream(answer_with(BIG, ("x-odd", "1"), status=201)) as upstream:
        printed = curl(upstream.port, "--http2-prior-knowledge", "--include")
        assert printed.startswith(b"HTTP/2 201 \r\nx-odd: 1\r\n\r\n")
        assert printed.endswith(b"\r\n\r\n" + BIG)
        (request,) = upstream.requests
        assert request.value(":path") == "/a?b"


def test_server_takes_an_upload(tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(BIG)
    with Http2Upstream() as upstream:
        upload = ["--data-binary", f"@{body}"]
        assert curl(upstream.port, "--http2-prior-knowledge", *upload) == b"ok"
        assert bytes(upstream.requests[0].message.body) == BIG


def test_server_with_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server_context(authority.issue("site", ["127.0.0.1"]), alpn=["h2"])
    with Http2Upstream(tls=context) as upstream:
        assert curl(upstream.port, "--http2", scheme="https") == b"ok"
        assert upstream.requests[0].value(":scheme") == "https"


def test_scripts_in_order() -> None:
    """One for each connection, the last again and again; its end is the connection's."""

    async def once(connection: ServerConnection) -> None:
        await connection.respond(await connection.next_request(), b"once")

    with Http2Upstream(once, answer_with(b"more")) as upstream:
        with Http2Client(upstream.port) as client:
            assert bytes(client.request().body) == b"once"
            with pytest.raises((ConnectionOverError, ConnectionError)):
                client.request()
        for _ in range(2):
            with Http2Client(upstream.port) as client:
                assert [bytes(client.request().body) for _ in range(2)] == [b"more"] * 2
        assert upstream.connection_count == 3
