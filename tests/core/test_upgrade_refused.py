"""A new process that cannot take over: the old one serves on, and says why."""

import os
import shutil
import signal
import socket
import stat
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from testkit.load import Load
from testkit.nameserver import Nameserver
from testkit.procfs import children
from testkit.service import Service
from testkit.trunkline import lb_config
from testkit.upstream import Upstream
from testkit.waiting import wait_until

Get = Callable[[str], httpx.Response]
HANGS = "import time\ntime.sleep(60)\n"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The program as it is installed: a script of its own."""
    return Path(shutil.copy(Path(sysconfig.get_path("scripts")) / "trunkline", tmp_path))


@pytest.fixture
def service(tmp_path: Path, script: Path, upstream: Upstream, port: int) -> Iterator[Service]:
    config = lb_config(port, [upstream.port])
    with Service(tmp_path, config, command=[str(script)]) as service:
        yield service


def replace(script: Path, text: str) -> None:
    """Install another version."""
    script.write_text(f"#!{sys.executable}\n{text}")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)


def refusal(service: Service, timeout_s: float = 60) -> tuple[str, list[dict[str, object]]]:
    """Why it was refused, and the problems; everything is as before."""
    before = service.state()
    status, answer = service.admin("POST", "/upgrade", {"timeout_s": timeout_s})
    assert status == 422
    assert service.process.exit_code() is None
    assert service.state() == before
    assert (service.directory / "ready").read_text() == f"{service.pid}\n"
    assert service.wait_for_message("not upgraded, this process serves on")
    wait_until(lambda: children(service.pid) == [], timeout_s=20, what="the end of the new process")
    return answer["detail"], answer["errors"]


def test_a_new_version_is_the_one_that_starts(service: Service, script: Path, get: Get) -> None:
    said = service.directory / "said"
    replace(script, f"open({str(said)!r}, 'w').close()\n{script.read_text()}")
    service.upgrade()
    assert said.exists()
    assert service.process.wait(10) == 0
    assert get("/").status_code == 200


def test_an_unsound_configuration(service: Service, get: Get) -> None:
    service.write_config("[lb]\nnonsense = 1\n")
    detail, errors = refusal(service)
    assert detail == "the configuration is refused"
    assert [error["key"] for error in errors] == ["lb.nonsense"]
    assert get("/").status_code == 200
    done = service.command("upgrade")
    assert done.returncode == 1
    problem, conclusion = done.stderr.splitlines()
    assert problem.startswith(f"{service.config_path}:")
    assert "lb.nonsense: unknown key" in problem
    assert conclusion == "not upgraded, the old process serves on: the configuration is refused"


def test_what_the_engine_refuses(service: Service, upstream: Upstream, port: int) -> None:
    service.write_config(lb_config(port, [upstream.port], listener='limits.head = "1B"'))
    _, (error,) = refusal(service)
    assert error["key"] == "lb.http.front.limits.head"


def test_an_address_that_is_taken(
    service: Service, upstream: Upstream, port: int, get: Get
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        text = lb_config(port, [upstream.port])
        service.write_config(text.replace('"]', f'", "{address}"]', 1))
        _, (error,) = refusal(service)
    assert error["key"] == "lb.http.front.listen[1]"
    assert error["message"] == f"cannot listen on {address}: Address already in use"
    assert get("/").status_code == 200


def test_an_admin_address_that_only_a_restart_can_change(service: Service, get: Get) -> None:
    """The old process holds the port until it ends."""
    port = service.state()["url"].rpartition(":")[2]
    text = service.config_path.read_text()
    service.config_path.write_text(text.replace('"127.0.0.1:0"', f'"0.0.0.0:{port}"', 1))
    _, (error,) = refusal(service)
    assert error["key"] == "admin.listen"
    assert f"cannot listen on 0.0.0.0:{port}: the running process's own" in str(error["message"])
    assert "a stop and a start" in str(error["message"])
    assert get("/").status_code == 200


def test_a_reload_that_does_not_end(service: Service, upstream: Upstream, port: int) -> None:
    """It waits for a nameserver, three seconds long."""
    with Nameserver({}) as nameserver:
        nameserver.silent = True
        found = (
            'discover = { kind = "dns", name = "app.test", port = 1, '
            f'nameservers = ["{nameserver.address}"] }}'
        )
        service.write_config(lb_config(port, [upstream.port], pool=found))
        service.send(signal.SIGHUP)
        wait_until(lambda: nameserver.asked("app.test"), timeout_s=10, what="a question")
        detail, _ = refusal(service, timeout_s=0.3)
        assert detail == "a reload that is under way has not ended in 0.3 s"
        assert service.wait_for_message("reloaded")


def test_a_failure_that_shows_late(service: Service, port: int) -> None:
    """The new process has begun to accept by then: what it has taken it answers."""
    text = service.config_path.read_text()
    service.config_path.write_text(text.replace('"ready"', '"/proc/ready"', 1))
    with Load(port, kept=2, single=2) as load:
        wait_until(lambda: load.answered > 10, timeout_s=10, what="answers")
        detail, _ = refusal(service)
        enough = load.answered + 10
        wait_until(lambda: load.answered > enough, timeout_s=10, what="more answers")
    assert "/proc/ready" in detail
    assert load.failures == []


def test_a_program_that_is_gone(service: Service, script: Path, get: Get) -> None:
    script.unlink()
    assert refusal(service) == (f"cannot start {script}: No such file or directory", [])
    done = service.command("upgrade")
    assert done.returncode == 1
    assert done.stderr.endswith(f"cannot start {script}: No such file or directory\n")
    assert get("/").status_code == 200


def test_a_program_that_ends_at_once(service: Service, script: Path) -> None:
    replace(script, "raise SystemExit('broken')\n")
    detail, _ = refusal(service)
    assert "ended before it was ready" in detail
    assert "broken" in service.process.output()


def test_a_program_that_hangs(service: Service, script: Path, get: Get) -> None:
    replace(script, HANGS)
    detail, _ = refusal(service, timeout_s=0.3)
    assert detail.endswith("was not ready in 0.3 s")
    assert get("/").status_code == 200


def test_the_next_try_succeeds(service: Service, script: Path) -> None:
    sound = script.read_text()
    replace(script, "raise SystemExit(1)\n")
    refusal(service)
    replace(script, sound.split("\n", 1)[1])
    new = service.upgrade()
    assert service.process.wait(10) == 0
    assert service.serving_pid == new


@pytest.fixture
def under_way(service: Service, script: Path) -> Service:
    """An upgrade that does not come to its end."""
    replace(script, HANGS)
    service.send(signal.SIGUSR2)
    wait_until(lambda: children(service.pid), timeout_s=10, what="a new process")
    return service


def test_a_second_one_while_one_is_under_way(under_way: Service) -> None:
    (child,) = children(under_way.pid)
    status, answer = under_way.admin("POST", "/upgrade")
    assert (status, answer) == (409, {"detail": "an upgrade is under way"})
    done = under_way.command("upgrade")
    assert done.returncode == 1
    assert "an upgrade is under way" in done.stderr
    under_way.send(signal.SIGUSR2)
    assert under_way.wait_for_message("not upgraded: an upgrade is under way")
    assert children(under_way.pid) == [child]
    os.kill(child, signal.SIGKILL)
    assert under_way.wait_for_message("ended before it was ready")


def test_a_stop_while_one_is_under_way(under_way: Service) -> None:
    assert under_way.process.stop() == 0
    assert under_way.wait_for_message("this process is about to end")
    assert not list((under_way.directory / "state").iterdir())


def test_a_reload_waits_for_the_outcome(under_way: Service, get: Get) -> None:
    (child,) = children(under_way.pid)
    under_way.send(signal.SIGHUP)
    assert get("/").status_code == 200
    os.kill(child, signal.SIGKILL)
    assert under_way.wait_for_message("reloaded")["generation"] == 2


def test_nonsense(service: Service) -> None:
    assert service.admin("POST", "/upgrade", {"timeout_s": 0})[0] == 422
    assert service.admin("POST", "/upgrade", {"x": 1})[0] == 422
