"""The program itself: ``trunkline up`` on a configuration of the test's, with its admin API.

The kit adds what every test wants: an admin API on a free port, an access log, a ready file, and a
state folder of its own, so that nothing of one test is seen by another.
"""

import json
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from testkit.process import Process
from testkit.waiting import wait_until

TOKEN = "the-token-of-the-tests"
_ADDED = f"""
[runtime]
threads = {{threads}}
grace = "{{grace}}"
ready_file = "ready"
[admin]
listen = "127.0.0.1:0"
token = "{TOKEN}"
[access_log]
path = "access.log"
"""


def lb_config(
    port: int, upstream_ports: Sequence[int], *, listener: str = "", pool: str = ""
) -> str:
    """The smallest load balancer: one listener, one pool.

    Args:
        port: Where it listens on 127.0.0.1.
        upstream_ports: The servers, on 127.0.0.1.
        listener: More TOML for ``[lb.http.front]``; keys, or dotted keys such as
            ``timeouts.request_head = "1s"``.
        pool: More TOML for ``[lb.pools.app]``.
    """
    servers = json.dumps([f"127.0.0.1:{number}" for number in upstream_ports])
    return (
        f'[lb.http.front]\nlisten = ["127.0.0.1:{port}"]\npool = "app"\n{listener}\n'
        f"[lb.pools.app]\nservers = {servers}\n{pool}\n"
    )


class Trunkline:
    """A running trunkline; the ``with`` block ends it.

    Args:
        directory: Its own, for configuration, logs and state.
        config: TOML without ``[runtime]``, ``[admin]`` and ``[access_log]``.
        threads: Worker threads.
        grace: How long requests may take to finish at the end.
        command: What to run instead of ``python -m trunkline``.
        command_prefix: Put before the command, e.g. ``["prlimit", "--nofile=64"]``.
        environment: Added to that of the tests.
        pass_fds: Descriptors that it inherits.
    """

    def __init__(
        self,
        directory: Path,
        config: str,
        *,
        threads: int = 1,
        grace: str = "2s",
        command: Sequence[str] = (sys.executable, "-m", "trunkline"),
        command_prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.directory = directory
        self.config_path = directory / "trunkline.toml"
        self._added = _ADDED.format(threads=threads, grace=grace)
        self.write_config(config)
        self.process = Process(
            [*command_prefix, *command, "up", "--config", str(self.config_path)],
            directory=directory,
            name="trunkline",
            environment={"TRUNKLINE_STATE_DIR": str(directory / "state"), **(environment or {})},
            pass_fds=pass_fds,
        ).wait_ready((directory / "ready").exists)
        (state_path,) = (directory / "state").glob("*.json")
        self._admin_url: str = json.loads(state_path.read_text())["url"]

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def write_config(self, config: str) -> None:
        """Replace the configuration file; it is taken up by ``reload``."""
        self.config_path.write_text(self._added + config)

    def reload(self) -> tuple[int, Any]:
        """Read the file again; status and JSON answer of the admin API."""
        return self.admin("POST", "/reload")

    def admin(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Call the admin API; status and JSON answer, whatever the status."""
        status, text = self._call(method, path, body)
        return status, json.loads(text)

    def status(self) -> Any:
        """The whole status."""
        return self.admin("GET", "/status")[1]

    def metric(self, name: str, **labels: str) -> float:
        """Sum of all samples of this name that have these labels; 0 if there is none."""
        families = text_string_to_metric_families(self._call("GET", "/metrics")[1])
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def access_log(self, at_least: int = 1) -> list[dict[str, Any]]:
        """The entries so far, once there are so many: they are written in batches.

        Raises:
            TimeoutError: If they did not come.
        """
        path = self.directory / "access.log"
        wait_until(
            lambda: path.exists() and path.read_bytes().count(b"\n") >= at_least,
            timeout_s=5,
            what=f"{at_least} lines of access log",
        )
        return [json.loads(line) for line in path.read_text().splitlines()]

    def stop(self) -> int:
        """SIGTERM, wait for the end; the exit code."""
        return self.process.stop()

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send(signal_number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _call(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        request = urllib.request.Request(
            self._admin_url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
