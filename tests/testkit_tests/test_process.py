"""Programs are started, watched and ended for certain."""

import signal
import sys
from pathlib import Path

import pytest

from testkit import procfs
from testkit.ports import free_port, is_listening
from testkit.process import Process
from testkit.waiting import wait_until

READY_LOOP = "import signal; print('ready', flush=True); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('ready', flush=True)\nwhile True: signal.pause()"
)


def start(directory: Path, code: str, **options: object) -> Process:
    command = [sys.executable, "-c", code]
    process = Process(command, directory=directory, name="program", **options)  # type: ignore[arg-type]
    return process.wait_ready(lambda: "ready" in process.output())


def test_stop_by_sigterm(tmp_path: Path) -> None:
    with start(tmp_path, READY_LOOP) as process:
        assert process.exit_code() is None
        assert process.stop() == -signal.SIGTERM
        assert process.stop() == -signal.SIGTERM


def test_stop_kills_what_ignores_sigterm(tmp_path: Path) -> None:
    with start(tmp_path, STUBBORN) as process:
        assert process.stop(timeout_s=0.1) == -signal.SIGKILL


def test_an_early_end_tells_the_output(tmp_path: Path) -> None:
    process = Process(
        [sys.executable, "-c", "raise SystemExit('no such file')"], directory=tmp_path, name="bad"
    )
    with pytest.raises(RuntimeError, match="no such file"):
        process.wait_ready(lambda: False)


def test_not_ready_in_time_ends_the_program(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", READY_LOOP], directory=tmp_path, name="slow")
    with pytest.raises(RuntimeError, match="waited"):
        process.wait_ready(lambda: False, timeout_s=0.1)
    assert process.exit_code() is not None


def test_environment_and_cores(tmp_path: Path) -> None:
    code = "import os; print(os.environ['KIT'], os.sched_getaffinity(0), 'ready')"
    process = Process(
        [sys.executable, "-c", code],
        directory=tmp_path,
        name="env",
        environment={"KIT": "yes"},
        cores={0},
    )
    assert process.wait(10) == 0
    assert process.output().startswith("yes {0}")


def test_what_the_kernel_says_of_a_process(tmp_path: Path) -> None:
    code = "import socket; s=[socket.socket() for _ in range(20)]\n" + READY_LOOP
    with start(tmp_path, code) as process:
        assert procfs.fd_count(process.pid) >= 23
        assert procfs.rss_bytes(process.pid) > 1 << 20
        assert 0 < procfs.cpu_seconds(process.pid) < 10
        assert procfs.thread_ids(process.pid) == [process.pid]
        assert procfs.family(process.pid) == [process.pid]


def test_cpu_seconds_grow_with_work_only(tmp_path: Path) -> None:
    with (
        start(tmp_path, READY_LOOP) as idle,
        start(tmp_path, "print('ready', flush=True)\nwhile 1: 0") as busy,
    ):
        idle_s, busy_s = procfs.cpu_seconds(idle.pid), procfs.cpu_seconds(busy.pid)
        wait_until(
            lambda: procfs.cpu_seconds(busy.pid) > busy_s + 0.1, timeout_s=20, what="CPU time"
        )
        assert procfs.cpu_seconds(idle.pid) - idle_s < 0.01


def test_a_free_port_is_not_listening() -> None:
    assert not is_listening(free_port())
