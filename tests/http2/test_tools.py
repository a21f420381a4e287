"""What others have written: curl and h2load before the program, nginx behind it, all versions."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest

from testkit.certificates import Authority
from testkit.peers import write_nginx_config
from testkit.ports import free_port, is_listening
from testkit.process import Process
from testkit.site import Program, Site
from testkit.tls import listener_tls

# HTTP version that curl reports → its options.
VERSIONS = {
    "1.1 http": ["--http1.1"],
    "2 http": ["--http2-prior-knowledge"],
    "1.1 https": ["--http1.1"],
    "2 https": ["--http2"],
}
BODY_BYTES = 300_000
REQUESTS = 2_000


@dataclass(frozen=True)
class Ways:
    """Sites that lead to nginx by HTTP/1.1 and by h2c, in the clear and with TLS."""

    plain: dict[str, Site]
    secure: dict[str, Site]
    ca: Path

    def site(self, scheme: str, server: str) -> Site:
        return (self.plain if scheme == "http" else self.secure)[server]

    def all(self) -> list[Site]:
        return [*self.plain.values(), *self.secure.values()]


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Its ports, by the version that is spoken there."""
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "big").write_bytes(bytes(range(256)) * (BODY_BYTES // 256 + 1))
    ports = {"http/1.1": free_port(), "h2": free_port()}
    locations = (
        f"root {folder}; client_max_body_size 0; http2_max_requests 1000000;"
        'location / { return 200 "$server_protocol $request_method"; }'
        "location /big { } location /upload { proxy_pass http://127.0.0.1:%d/; }"
        % ports["http/1.1"]
    )
    http = "".join(
        f"server {{ listen 127.0.0.1:{port}{' http2' if kind == 'h2' else ''};"
        f"keepalive_requests 1000000; {locations} }}"
        for kind, port in ports.items()
    )
    command = write_nginx_config(folder, "nginx", http)
    with Process(command, directory=folder, name="nginx") as process:
        process.wait_ready(lambda: is_listening(ports["h2"]))
        yield ports


@pytest.fixture(scope="module")
def ways(program: Program, nginx: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Ways:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    keys = listener_tls(authority.issue("site", ["localhost", "127.0.0.1"]))
    kinds = {"http/1.1": "", "h2": 'protocol = "h2"'}
    plain = {kind: Site([nginx[kind]], pool=pool) for kind, pool in kinds.items()}
    secure = {kind: Site([nginx[kind]], listener=keys, pool=pool) for kind, pool in kinds.items()}
    made = Ways(plain, secure, authority.ca)
    program.serve(*made.all())
    return made


def curl(ways: Ways, url: str, *options: str) -> bytes:
    """What curl prints; it fails the test if it fails."""
    command = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*"]
    done = subprocess.run(
        [*command, "--cacert", str(ways.ca), *options, url],
        capture_output=True,
        timeout=20,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("server", ["http/1.1", "h2"])
@pytest.mark.parametrize("version", VERSIONS)
class TestCurl:
    def test_a_page(self, ways: Ways, version: str, server: str) -> None:
        number, scheme = version.split(" ")
        url = f"{scheme}://127.0.0.1:{ways.site(scheme, server).port}/"
        report = ["--write-out", " %{http_code} %{http_version}"]
        spoken = {"http/1.1": b"HTTP/1.1", "h2": b"HTTP/2.0"}[server]
        printed = curl(ways, url, *VERSIONS[version], *report)
        assert printed == spoken + b" GET 200 " + number.encode()

    def test_much_down_and_up(
        self, ways: Ways, nginx: dict[str, int], tmp_path: Path, version: str, server: str
    ) -> None:
        """Two requests on one connection."""
        _, scheme = version.split(" ")
        url = f"{scheme}://127.0.0.1:{ways.site(scheme, server).port}"
        down = curl(ways, f"{url}/big", *VERSIONS[version])
        assert down == bytes(range(256)) * (BODY_BYTES // 256 + 1)
        body = tmp_path / "body"
        body.write_bytes(down * 3)
        upload = ["--data-binary", f"@{body}"]
        assert curl(ways, f"{url}/upload", *VERSIONS[version], *upload).endswith(b" POST")


def h2load(url: str, *options: str) -> dict[str, int]:
    """Its count of requests by outcome: total, succeeded, failed, errored, timeout."""
    done = subprocess.run(
        ["h2load", f"-n{REQUESTS}", *options, url],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    (line,) = re.findall(r"^requests: (.*)$", done.stdout, re.MULTILINE)
    counts = {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", line)}
    (statuses,) = re.findall(r"^status codes: (\d+) 2xx", done.stdout, re.MULTILINE)
    return {**counts, "2xx": int(statuses)}


def all_well(counts: dict[str, int]) -> bool:
    return counts["succeeded"] == counts["2xx"] == counts["total"] == REQUESTS


@pytest.mark.parametrize("server", ["http/1.1", "h2"])
@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("http", ["-c8", "-m20"]),
        ("https", ["-c8", "-m20"]),
        ("https", ["-c8", "-m1", "--h1"]),
        ("http", ["-c1", "-m100"]),
    ],
)
def test_h2load(program: Program, ways: Ways, scheme: str, options: list[str], server: str) -> None:
    url = f"{scheme}://127.0.0.1:{ways.site(scheme, server).port}/"
    assert all_well(h2load(url, *options))


@pytest.mark.parametrize("server", ["http/1.1", "h2"])
def test_h2load_with_bodies(ways: Ways, tmp_path: Path, server: str) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"x" * 20_000)
    url = f"https://127.0.0.1:{ways.site('https', server).port}/upload"
    assert all_well(h2load(url, "-c4", "-m10", f"-d{body}"))


@pytest.mark.parametrize("server", ["http/1.1", "h2"])
def test_reloads_under_load(program: Program, ways: Ways, server: str) -> None:
    """No request fails while the configuration is exchanged again and again."""
    url = f"https://127.0.0.1:{ways.site('https', server).port}/"
    results: list[dict[str, int]] = []
    load = Thread(target=lambda: results.append(h2load(url, "-c4", "-m10")))
    load.start()
    reloads = 0
    while load.is_alive():
        program.serve(*ways.all())
        reloads += 1
    assert all_well(results[0])
    assert reloads > 0
