"""The `trunkline` command as people and scripts run it: output, errors, exit codes."""

import errno
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import httpx
import pytest

import trunkline
from testkit.ports import free_port
from testkit.trunkline import Trunkline, lb_config
from testkit.upstream import Upstream
from trunkline.core import state
from trunkline.core.admin.client import NotRunningError, find_client
from trunkline.core.commands import output, remote

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a command that looks for running ones in the test's own state folder."""

    def command(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        state = {"TRUNKLINE_STATE_DIR": str(tmp_path / "state")}
        return subprocess.run(
            [sys.executable, "-P", "-m", "trunkline", *arguments],
            env={**os.environ, **state, **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return command


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A sound configuration that nobody runs."""
    path = tmp_path / "t.toml"
    path.write_text(lb_config(free_port(), [9100]))
    return path


def test_version(run: Run) -> None:
    info = json.loads(run("version", "--json").stdout)
    assert info["trunkline"] == info["native"] == trunkline.__version__
    assert {"profile", "target", "rustc", "commit"} <= info.keys()
    text = run("version").stdout
    assert text.startswith("trunkline")
    assert trunkline.__version__ in text


def test_version_is_quick_to_import() -> None:
    """What one command needs must not slow the others: FastAPI alone costs more than the rest."""
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from trunkline.cli import app\n"
        "assert CliRunner().invoke(app, ['version']).exit_code == 0\n"
        "print(sorted({'fastapi', 'uvicorn', 'uvloop'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_help_names_every_command(run: Run) -> None:
    text = run("--help").stdout
    for command in ("up", "lb", "gateway", "check", "reload", "upgrade", "status", "top"):
        assert command in text
    for command in ("explain", "doctor", "schema", "version"):
        assert command in text


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["up"],
        ["up", "--config", "none.toml"],
        ["check"],
        ["explain", "http", "GET", "/", "-H", "no colon"],
        ["explain", "http", "GET", "/", "--offline"],
        ["explain", "http", "GET", "127.0.0.1:9200/x"],
        ["upgrade", "--timeout", "3601"],
    ],
)
def test_wrong_usage(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_check(run: Run, config: Path) -> None:
    done = run("check", "t.toml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "t.toml: ok\n", "")


def test_check_prints_every_problem(run: Run, config: Path) -> None:
    config.write_text('[lb.http.front]\nlisten = "x"\npool = "app"\nregex = 1\n')
    done = run("check", "t.toml")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        't.toml:2: lb.http.front.listen: must be "host:port", e.g. "127.0.0.1:8080", not "x"',
        't.toml:3: lb.http.front.pool: no pool is named "app"; there are: none',
        't.toml:4: lb.http.front.regex: unknown key; valid are "access_log", "forwarding", '
        '"http2", "limits", "listen", "pool", "proxy_protocol", "reason_header", "routes", '
        '"timeouts", "tls"',
        "t.toml: 3 problems",
    ]


def test_check_asks_the_engine(run: Run, config: Path) -> None:
    with config.open("a") as file:
        file.write('[[lb.http.front.routes]]\nregex = "(["\npool = "app"\n')
    done = run("check", "t.toml")
    assert done.returncode == 1
    assert "t.toml:" in done.stderr
    assert "regular expression" in done.stderr


def test_check_of_nothing(run: Run, config: Path) -> None:
    config.write_text("")
    done = run("check", "t.toml")
    assert (done.returncode, done.stdout) == (1, "")
    missing = "t.toml: [lb] or [gateway] or [dns] is missing: there is nothing to run"
    assert done.stderr.splitlines() == [missing, "t.toml: 1 problem"]


def test_check_binds_nothing(run: Run, running: Trunkline) -> None:
    assert run("check", str(running.config_path)).returncode == 0


def test_up_with_an_unsound_file(run: Run, config: Path) -> None:
    config.write_text("[lb]\nx = 1\n")
    done = run("up", "--config", "t.toml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == 't.toml:2: lb.x: unknown key; valid are "http", "pools"\n'


def test_schema(run: Run) -> None:
    assert json.loads(run("schema").stdout)["title"] == "trunkline configuration"


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["reload"], ["upgrade"], ["top", "--once"], ["explain", "http", "GET", "/"]],
)
def test_nobody_runs(run: Run, config: Path, arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 3
    assert done.stderr.startswith("no trunkline runs (looked in ")
    assert run(*arguments, "--config", "t.toml").returncode == 3


def test_nobody_answers(run: Run) -> None:
    done = run("status", TRUNKLINE_ADMIN_URL=f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 3
    assert "Connection refused" in done.stderr


def test_an_address_that_is_none(run: Run) -> None:
    done = run("reload", TRUNKLINE_ADMIN_URL="nonsense")
    assert done.returncode == 3
    assert done.stderr == "nonsense is not the URL of an admin API\n"


@pytest.mark.parametrize("command", ["status", "reload", "upgrade"])
def test_a_wrong_token(run: Run, running: Trunkline, tmp_path: Path, command: str) -> None:
    (state_file,) = (tmp_path / "state").iterdir()
    url = json.loads(state_file.read_text())["url"]
    done = run(command, TRUNKLINE_ADMIN_URL=url, TRUNKLINE_ADMIN_TOKEN="wrong")
    assert done.returncode == 1
    assert done.stderr.startswith("the admin API answered 401: ")


@pytest.mark.parametrize(
    ("command", "patience"),
    [(lambda: remote.reload(None), "_RELOAD_S"), (lambda: remote.upgrade(None, 0), "_ANSWER_S")],
)
def test_an_answer_that_does_not_come(
    command: Callable[[], int],
    patience: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Not as if nobody ran: what was asked for may be done all the same."""
    monkeypatch.setattr(remote, patience, 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("TRUNKLINE_ADMIN_URL", url)
        assert command() == output.NO_ANSWER
    said = capsys.readouterr().err
    assert said.startswith(f"no answer from {url} in 0.2 s; it may still be at it")


@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_belongs_to_another_user(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the system refuses it to all but root, which tests may be."""
    monkeypatch.setenv("TRUNKLINE_STATE_DIR", str(tmp_path))
    file = state.save(state.Running("t.toml", os.getpid(), "http://127.0.0.1:1", "token"))
    refused = tmp_path if what == "folder" else file

    def refuse(path: Path, *_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir" if what == "folder" else "read_text", refuse)
    with pytest.raises(NotRunningError) as raised:
        find_client(None)
    assert str(raised.value) == f"{refused} belongs to another user; run as that user or root"


def test_status(run: Run, running: Trunkline, upstream: Upstream) -> None:
    done = run("status")
    assert done.returncode == 0
    assert "lb.http.front" in done.stdout
    assert "lb.app" in done.stdout
    assert f"127.0.0.1:{upstream.port}" in done.stdout
    assert "\x1b" not in done.stdout


def test_status_reads_well(run: Run, running: Trunkline, port: int) -> None:
    """A table begins with the names; times are times."""
    dead = free_port()
    running.write_config(lb_config(port, [dead]))
    assert run("reload").returncode == 0
    refused = httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
    assert refused.status_code == 502
    lines = [line.rstrip() for line in run("status").stdout.splitlines()]
    servers = lines[lines.index("pool lb.app") + 1 :]
    assert servers[0].startswith("name")
    assert servers[1].startswith(f"127.0.0.1:{dead} ")
    today = f"{datetime.now().astimezone():%Y-%m-%d}"
    failures = lines[lines.index("recent_errors") + 1 :]
    assert "time" in failures[0].split()
    assert today in failures[1]
    assert any(line.strip().startswith(f"at: {today}") for line in lines)


def test_status_for_programs(run: Run, running: Trunkline) -> None:
    status = json.loads(run("status", "--json", "--config", str(running.config_path)).stdout)
    assert status["process"]["pid"] == running.pid


def test_reload(run: Run, running: Trunkline) -> None:
    done = run("reload")
    assert done.returncode == 0
    assert done.stdout.startswith("reloaded: generation 2")


def test_reload_with_an_unsound_file(run: Run, running: Trunkline, port: int) -> None:
    running.write_config(lb_config(port, []))
    done = run("reload")
    assert done.returncode == 1
    problem, conclusion = done.stderr.splitlines()
    assert problem.startswith(f"{running.config_path}:")
    assert problem.endswith("lb.pools.app.servers: must not be empty")
    assert conclusion == "refused: the old configuration keeps running"


def test_explain(run: Run, running: Trunkline, upstream: Upstream) -> None:
    done = run(
        "explain", "http", "get", "http://a.example/x", "-H", "X-A: b", "--client", "10.0.0.1"
    )
    assert done.returncode == 0
    assert "lb.front.default" in done.stdout
    assert f"127.0.0.1:{upstream.port}" in done.stdout


def test_explain_offline(run: Run, config: Path) -> None:
    arguments = ["explain", "http", "GET", "/x", "--offline", "--config", "t.toml", "--json"]
    done = run(*arguments)
    assert done.returncode == 0
    assert "lb.front.default" in json.dumps(json.loads(done.stdout))


def test_explain_offline_for_no_listener(run: Run, config: Path) -> None:
    done = run(
        *["explain", "http", "GET", "/", "--offline", "--config", "t.toml", "--listener", "nope"]
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "nope" in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor(run: Run, running: Trunkline) -> None:
    """What it finds in detail stands in test_doctor.py."""
    done = run("doctor", "--config", str(running.config_path))
    lines = done.stdout.splitlines()
    assert f"ok    native module: {trunkline.__version__}" in lines
    assert done.returncode == any(line.startswith("look ") for line in lines)
    assert any("open files" in line for line in lines)


def test_one_role(run: Run, config: Path) -> None:
    """A role's own command takes that role's part only."""
    done = run("gateway", "--config", "t.toml")
    assert done.returncode == 1
    assert done.stderr == "t.toml: [gateway] is missing: there is nothing to run\n"
