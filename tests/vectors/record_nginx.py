"""Records the choices of a real nginx: for the ketama ring and smooth weighted round robin.

    python tests/vectors/record_nginx.py

Needs `nginx` on the path. Writes `nginx_ketama/POOL.csv` (one line for each key: the key, then the
servers in the order nginx tried them) and `nginx_swrr/POOL.csv` (one line for each request: its
server) for every pool of the `pools.json` beside them. The servers need not exist: a refused
connection is recorded as well as an answered one, and is what makes nginx go on to the next.
`max_fails=0` keeps nginx from remembering the refusals.
"""

import csv
import http.client
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

HERE = Path(__file__).resolve().parent
KEYS = [f"user-{number}" for number in range(1000)]
ROUNDS = 100
START_DEADLINE_SECONDS = 5.0


class Pool(TypedDict):
    """One entry of a `pools.json`."""

    servers: dict[str, int]
    tries: int


CONFIG = """
daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
  uwsgi_temp_path {directory}; scgi_temp_path {directory};
  upstream pool {{ {method} {servers} }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://pool;
      proxy_next_upstream error; proxy_next_upstream_tries {tries};
      add_header X-Choices $upstream_addr always;
    }}
  }}
}}
"""


def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Returns when `port` accepts connections."""
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise RuntimeError(f"nginx did not start (exit code {process.poll()})")


@contextmanager
def nginx(method: str, pool: Pool) -> Iterator[Callable[[str], list[str]]]:
    """Runs nginx with `pool`; yields a function from a key to the servers it tried."""
    names = {address(name): name for name in pool["servers"]}
    lines = [
        f"server {name} weight={weight} max_fails=0;" for name, weight in pool["servers"].items()
    ]
    with tempfile.TemporaryDirectory() as directory:
        port, config = free_port(), Path(directory, "nginx.conf")
        config.write_text(
            CONFIG.format(
                directory=directory,
                method=method,
                servers=" ".join(lines),
                port=port,
                tries=pool["tries"],
            )
        )
        process = subprocess.Popen(["nginx", "-p", directory, "-c", str(config)])
        try:
            wait_for(port, process)
            connection = http.client.HTTPConnection("127.0.0.1", port)

            def ask(key: str) -> list[str]:
                connection.request("GET", f"/?k={key}")
                response = connection.getresponse()
                response.read()
                choices = response.getheader("X-Choices", "").split(", ")
                return [names[choice] for choice in choices]

            yield ask
        finally:
            process.terminate()
            process.wait()


def address(name: str) -> str:
    """How `$upstream_addr` shows the server that the configuration calls `name`."""
    has_port = name.startswith("unix:") or ":" in name
    return name if has_port else f"{name}:80"


def write(path: Path, rows: list[list[str]]) -> None:
    """Writes `rows` as a CSV file with Unix line ends."""
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def main() -> None:
    """Records both sets."""
    for name, pool in json.loads((HERE / "nginx_ketama/pools.json").read_text()).items():
        with nginx("hash $arg_k consistent;", pool) as ask:
            write(HERE / f"nginx_ketama/{name}.csv", [[key, *ask(key)] for key in KEYS])
    for name, pool in json.loads((HERE / "nginx_swrr/pools.json").read_text()).items():
        with nginx("", pool) as ask:
            write(HERE / f"nginx_swrr/{name}.csv", [ask("any") for _ in range(ROUNDS)])


if __name__ == "__main__":
    main()
