"""The backend of every run: one nginx worker that answers from memory.

It must never be what is measured, so it does nothing but answer: small bodies are part of its
configuration, the large one is a file in a RAM file system sent by sendfile. Keep-alive is
unlimited, nothing is logged.
"""

from pathlib import Path

from testkit.peers import write_nginx_config
from testkit.ports import is_listening
from testkit.process import Process

BODY_BYTES = {"/64": 64, "/4k": 4096, "/1m": 1 << 20}
# nginx refuses configuration tokens above its 4 KB buffer: the 4 KB body is put together.
_CHUNK_BYTES = 2048


def body_of(path: str) -> bytes:
    """The exact body the backend answers for a path of ``BODY_BYTES``."""
    pattern = b"trunkline peers benchmark body, 64 bytes of printable ASCII ...\n"
    return (pattern * (BODY_BYTES[path] // len(pattern) + 1))[: BODY_BYTES[path]]


def start_backend(directory: Path, port: int, cores: set[int]) -> Process:
    """Start it on 127.0.0.1:port, its files in ``directory`` (best a RAM file system)."""
    (directory / "1m").write_bytes(body_of("/1m"))
    command = write_nginx_config(directory, "backend", _http(directory, port))
    backend = Process(command, directory=directory, name="backend", cores=cores)
    return backend.wait_ready(lambda: is_listening(port))


def _http(directory: Path, port: int) -> str:
    small, chunk = body_of("/64").decode(), body_of("/4k")[:_CHUNK_BYTES].decode()
    return f"""
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    sendfile on;
    tcp_nopush on;
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port} backlog=65535;
        set $chunk "{chunk}";
        location / {{ return 200 "{small}"; }}
        location = /4k {{ return 200 "$chunk$chunk"; }}
        location = /1m {{ alias {directory}/1m; }}
    }}
"""
