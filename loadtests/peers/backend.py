"""The backend of every run: one nginx worker that answers from memory.

It must never be what is measured, so it does nothing but answer: small bodies are part of its
configuration, the large one is a file in a RAM file system sent by sendfile. Keep-alive is
unlimited, nothing is logged.
"""

from pathlib import Path

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
    config = directory / "backend.conf"
    config.write_text(_config(directory, port))
    command = ["nginx", "-p", str(directory), "-e", "stderr", "-c", str(config)]
    backend = Process(command, directory=directory, name="backend", cores=cores)
    return backend.wait_ready(lambda: is_listening(port))


def _config(directory: Path, port: int) -> str:
    chunk = body_of("/4k")[:_CHUNK_BYTES].decode().replace("\n", "\\n")
    return f"""
daemon off;
user root;
worker_processes 1;
pid {directory}/backend.pid;
events {{ worker_connections 65536; }}
worker_rlimit_nofile 131072;
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    sendfile on;
    tcp_nopush on;
    default_type application/octet-stream;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=65535;
        set $chunk "{chunk}";
        location / {{ return 200 "{body_of("/64").decode().replace(chr(10), chr(92) + "n")}"; }}
        location = /4k {{ return 200 "$chunk$chunk"; }}
        location = /1m {{ alias {directory}/1m; }}
    }}
}}
"""
