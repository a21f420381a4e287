"""The parts of an upgrade that need no process: what is started, what is told."""

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from trunkline.core.config.problems import ConfigError, Problem
from trunkline.core.known import known_of
from trunkline.core.upgrade.command import own_command
from trunkline.core.upgrade.handover import Channel, Handover, take_handover
from trunkline.core.upgrade.predecessor import Legacy, Predecessor

PYTHON = "/usr/bin/python3"


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "trunkline"
    path.write_text(f"#!{PYTHON}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_script_is_started_by_its_name(script: str) -> None:
    """Its first line may name another Python by then."""
    arguments = [PYTHON, "-P", script, "up", "--config", "a.toml"]
    assert own_command(script, PYTHON, arguments) == [script, "up", "--config", "a.toml"]


def test_a_relative_name_is_made_whole(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(script).parent)
    assert own_command("trunkline", PYTHON, [PYTHON, "trunkline", "up"]) == [script, "up"]


def test_a_link_stays_a_link(script: str, tmp_path: Path) -> None:
    """A new version is often a link that leads elsewhere."""
    link = tmp_path / "current"
    link.symlink_to(script)
    assert own_command(str(link), PYTHON, [PYTHON, str(link), "up"]) == [str(link), "up"]


def test_a_module_is_started_by_the_same_python(tmp_path: Path) -> None:
    main = tmp_path / "__main__.py"
    main.touch()
    arguments = ["python3", "-X", "dev", "-m", "trunkline", "up"]
    assert own_command(str(main), PYTHON, arguments) == [PYTHON, *arguments[1:]]


def test_what_is_handed_over() -> None:
    end, other = socket.socketpair()
    with other, socket.create_server(("127.0.0.1", 0)) as listening:
        handover = Handover(end.fileno(), [listening.fileno()], None, 17)
        os.set_inheritable(listening.fileno(), True)
        environment = {"PATH": "/bin", **handover.to_environment()}
        assert take_handover(environment) == handover
        assert environment == {"PATH": "/bin"}
        assert not os.get_inheritable(listening.fileno())
        assert take_handover(environment) is None
        end.close()


def test_a_handover_of_another_version() -> None:
    with pytest.raises(OSError, match="hands over in version 2, not 1"):
        take_handover({"TRUNKLINE_UPGRADE": '{"version": 2, "else": "unknown"}'})


async def test_messages_that_come_in_pieces_and_together() -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    theirs.sendall(b'{"token": ')
    first = asyncio.create_task(channel.receive())
    await asyncio.sleep(0)
    theirs.sendall(b'"x"}\n{"serve": true}\n')
    assert await first == {"token": "x"}
    assert await channel.receive() == {"serve": True}
    theirs.close()
    assert await channel.receive() is None
    await channel.send({"ready": True})
    channel.close()


async def test_the_old_process_dies_meanwhile() -> None:
    """The new one has the sockets: it serves."""
    end, old = socket.socketpair()
    old.close()
    predecessor = Predecessor(17, end)
    assert await predecessor.legacy() == Legacy()
    await predecessor.take_over()


@pytest.mark.parametrize("asks_first", [True, False])
async def test_the_old_process_has_not_waited(asks_first: bool) -> None:
    end, old = socket.socketpair()
    with old:
        old.sendall(b'{"token": "x", "servers": [{"pool": "lb.app"}]}\n{"serve": false}\n')
        predecessor = Predecessor(17, end)
        if asks_first:
            assert await predecessor.legacy() == Legacy("x", [{"pool": "lb.app"}])
        with pytest.raises(OSError, match="has not waited"):
            await predecessor.take_over()
        predecessor.report(OSError("late"))


def test_what_is_reported() -> None:
    end, old = socket.socketpair()
    with old:
        predecessor = Predecessor(17, end)
        predecessor.report(ConfigError([Problem("a.toml", 1, "lb", "no")]))
        assert old.recv(1000) == (
            b'{"error": "the configuration is refused", "problems": '
            b'[{"file": "a.toml", "line": 1, "key": "lb", "message": "no"}]}\n'
        )
        predecessor.report(OSError("once is enough"))
        assert old.recv(1000) == b""


PLANNED = {"name": "a", "address": "127.0.0.1:1", "weight": 3}
USUAL = {"name": "a", "weight": 3, "enabled": True, "draining": False, "healthy": True}


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ({}, {}),
        ({"weight": 4}, {"weight": 4}),
        ({"enabled": False, "draining": True}, {"enabled": False, "draining": True}),
        ({"healthy": False, "check": "status 503"}, {"down": "status 503"}),
    ],
)
def test_what_is_known_of_a_server(told: dict[str, object], known: dict[str, object]) -> None:
    plan = {"pools": [{"name": "lb.app", "servers": [PLANNED]}]}
    status = {"pools": [{"name": "lb.app", "servers": [{**USUAL, **told}]}]}
    names = {"pool": "lb.app", "server": "a", "planned": PLANNED}
    assert known_of(plan, status) == ([{**names, **known}] if known else [])


def test_what_the_status_does_not_tell_of() -> None:
    plan = {"pools": [{"name": "lb.app", "servers": [PLANNED]}, {"name": "lb.new", "servers": []}]}
    assert known_of(plan, {"pools": []}) == []
    assert known_of(plan, {"pools": [{"name": "lb.app", "servers": []}]}) == []
