"""The admin API over a real socket, of a real process."""

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from testkit.ports import free_port
from testkit.trunkline import TOKEN, Trunkline, lb_config
from testkit.upstream import Upstream

Get = Callable[[str], httpx.Response]


@pytest.fixture
def state_file(running: Trunkline, tmp_path: Path) -> Path:
    (path,) = (tmp_path / "state").iterdir()
    return path


@pytest.fixture
def stranger(state_file: Path) -> Iterator[httpx.Client]:
    """Knows the address, not the token."""
    with httpx.Client(
        base_url=json.loads(state_file.read_text())["url"], trust_env=False
    ) as client:
        yield client


@pytest.fixture
def admin(stranger: httpx.Client) -> httpx.Client:
    """Knows both."""
    stranger.headers["Authorization"] = f"Bearer {TOKEN}"
    return stranger


def server_name(upstream: Upstream) -> str:
    return f"127.0.0.1:{upstream.port}"


def test_word_is_left_for_the_owner_alone(running: Trunkline, state_file: Path) -> None:
    assert stat.S_IMODE(state_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(state_file.parent.stat().st_mode) == 0o700
    left = json.loads(state_file.read_text())
    assert left["pid"] == running.pid
    assert left["token"] == TOKEN
    assert left["config"] == str(running.config_path)


GUARDED = [
    ("GET", "/status"),
    ("GET", "/config"),
    ("GET", "/openapi.json"),
    ("GET", "/nothing"),
    ("GET", "/certificates"),
    ("POST", "/certificates/a.example/retry"),
    ("POST", "/reload"),
    ("PATCH", "/pools/lb.app/servers/x"),
]
WRONG = [
    "",
    TOKEN,
    f"Basic {TOKEN}",
    "Bearer",
    "Bearer wrong",
    f"Bearer {TOKEN}x",
    f"bearer{TOKEN}",
]


def test_no_token_no_answer(stranger: httpx.Client) -> None:
    for method, path in GUARDED:
        assert stranger.request(method, path).status_code == 401
        for header in WRONG:
            answer = stranger.request(method, path, headers={"Authorization": header})
            assert answer.status_code == 401, (method, path, header)
            assert answer.headers["www-authenticate"] == "Bearer"


def test_probes_need_no_token(stranger: httpx.Client) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert stranger.get(path).status_code == 200


def test_metrics_are_prometheus(admin: httpx.Client, get: Get) -> None:
    get("/")
    answer = admin.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert list(text_string_to_metric_families(answer.text))


def test_status_tells_of_the_process(
    running: Trunkline, admin: httpx.Client, port: int, get: Get
) -> None:
    get("/")
    status = admin.get("/status").json()
    assert status["process"]["pid"] == running.pid
    assert status["process"]["ready"] is True
    assert status["process"]["last_reload"] is None
    (listener,) = admin.get("/listeners").json()
    assert listener["name"] == "lb.http.front"
    assert listener["addresses"] == [f"127.0.0.1:{port}"]
    (route,) = admin.get("/routes").json()
    assert route["name"] == "lb.front.default"
    assert admin.get("/limits").json() == []
    assert admin.get("/breakers").json() == []


def test_servers_of_a_pool(admin: httpx.Client, upstream: Upstream) -> None:
    (pool,) = admin.get("/pools").json()
    assert pool["name"] == "lb.app"
    (server,) = admin.get("/pools/lb.app/servers").json()
    assert server == pool["servers"][0]
    assert server["name"] == server_name(upstream)
    assert server["draining"] is False


def test_no_such_pool(admin: httpx.Client) -> None:
    answer = admin.get("/pools/app/servers")
    assert (answer.status_code, answer.json()) == (404, {"detail": 'no pool is named "app"'})


def test_a_server_is_drained_and_brought_back(
    admin: httpx.Client, upstream: Upstream, get: Get
) -> None:
    path = f"/pools/lb.app/servers/{server_name(upstream)}"
    assert admin.patch(path, json={"draining": True}).json()["draining"] is True
    assert get("/").status_code == 503
    assert admin.patch(path, json={"draining": False}).json()["draining"] is False
    assert get("/").status_code == 200


def test_a_server_is_disabled_and_enabled(
    admin: httpx.Client, upstream: Upstream, get: Get
) -> None:
    path = f"/pools/lb.app/servers/{server_name(upstream)}"
    assert admin.patch(path, json={"enabled": False}).status_code == 200
    assert get("/").status_code == 503
    assert admin.patch(path, json={"enabled": True, "weight": 5}).json()["weight"] == 5
    assert get("/").status_code == 200


def test_senseless_changes(admin: httpx.Client, upstream: Upstream) -> None:
    path = f"/pools/lb.app/servers/{server_name(upstream)}"
    senseless = [{}, {"weight": -1}, {"weight": 70_000}, {"wieght": 1}, {"draining": "perhaps"}, []]
    for body in senseless:
        assert admin.patch(path, json=body).status_code == 422, body


def test_changes_of_nothing(admin: httpx.Client) -> None:
    for path in ("lb.app/servers/other", "lb.none/servers/other"):
        assert admin.patch(f"/pools/{path}", json={"weight": 1}).status_code == 404


def test_without_issuers_there_are_no_certificates(admin: httpx.Client) -> None:
    assert admin.get("/certificates").json() == []
    answer = admin.post("/certificates/a.example/retry")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "no certificates are wanted of an issuer"


def test_reload(running: Trunkline, admin: httpx.Client, upstream: Upstream, port: int) -> None:
    route = '[[lb.http.front.routes]]\npath = "/new"\npool = "app"\n'
    running.write_config(lb_config(port, [upstream.port]) + route)
    answer = admin.post("/reload")
    assert answer.status_code == 200
    assert answer.json()["generation"] == 2
    assert answer.json()["needs_restart"] == []
    assert admin.get("/config").json()["lb"]["http"]["front"]["routes"][0]["path"] == "/new"
    assert admin.get("/status").json()["process"]["last_reload"]["ok"] is True


def test_reload_names_every_error(running: Trunkline, admin: httpx.Client, port: int) -> None:
    running.write_config(lb_config(port, [], listener='colour = "red"'))
    answer = admin.post("/reload")
    assert answer.status_code == 422
    errors = answer.json()["errors"]
    assert [(error["key"], error["message"]) for error in errors] == [
        (
            "lb.http.front.colour",
            'unknown key; valid are "access_log", "forwarding", "http2", "limits", "listen", '
            '"pool", "proxy_protocol", "reason_header", "routes", "timeouts", "tls"',
        ),
        ("lb.pools.app.servers", "must not be empty"),
    ]
    assert {error["file"] for error in errors} == {str(running.config_path)}
    lines = running.config_path.read_text().split("\n")
    assert [lines[error["line"] - 1] for error in errors] == ['colour = "red"', "servers = []"]
    assert admin.get("/status").json()["process"]["last_reload"]["errors"] == errors


def test_reload_names_what_the_engine_refuses(
    running: Trunkline, admin: httpx.Client, upstream: Upstream, port: int
) -> None:
    running.write_config(lb_config(port, [upstream.port], listener='limits.head = "1B"'))
    (error,) = admin.post("/reload").json()["errors"]
    assert error["key"] == "lb.http.front.limits.head"


def test_reload_says_what_waits_for_a_restart(
    running: Trunkline, admin: httpx.Client, upstream: Upstream, port: int
) -> None:
    running.write_config(lb_config(port, [upstream.port]))
    text = running.config_path.read_text().replace("threads = 1", "threads = 2")
    running.config_path.write_text(text)
    assert admin.post("/reload").json()["needs_restart"] == ["runtime"]


def test_the_configuration_without_secrets(admin: httpx.Client) -> None:
    answer = admin.get("/config")
    assert answer.json()["admin"]["token"] == "**********"
    assert TOKEN not in answer.text


def test_the_configuration_without_the_environment(
    running: Trunkline, admin: httpx.Client, upstream: Upstream, port: int
) -> None:
    """What was kept out of the file does not come out of the API."""
    route = '[[lb.http.front.routes]]\npool = "app"\nrewrite.headers.set.X-Home = "at ${PATH}"\n'
    running.write_config(lb_config(port, [upstream.port]) + route)
    assert admin.post("/reload").status_code == 200
    (shown,) = admin.get("/config").json()["lb"]["http"]["front"]["routes"]
    assert shown["rewrite"]["headers"]["set"] == {"X-Home": "at ${PATH}"}


def test_explain(admin: httpx.Client) -> None:
    answer = admin.post("/explain", json={"url": "http://a.example/x?y=1"})
    assert answer.status_code == 200
    assert "lb.front.default" in answer.text


def test_explain_nonsense(admin: httpx.Client) -> None:
    assert admin.post("/explain", json={"method": "GET"}).status_code == 422


def test_explain_for_no_listener(admin: httpx.Client) -> None:
    answer = admin.post("/explain", json={"url": "http://a/", "listener": "lb.http.nope"})
    assert answer.status_code == 404
    assert "lb.http.nope" in answer.json()["detail"]


def test_it_describes_itself(admin: httpx.Client) -> None:
    paths = admin.get("/openapi.json").json()["paths"]
    assert {"/status", "/reload", "/explain", "/pools/{pool}/servers/{server}"} <= paths.keys()


def test_ports_of_their_own(
    running: Trunkline, tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> None:
    """Port 0 means any free one: two of them run side by side."""
    folder = tmp_path_factory.mktemp("second")
    with Trunkline(folder, lb_config(free_port(), [upstream.port])) as second:
        assert second.status()["process"]["pid"] == second.pid != running.pid
