"""The backend of every run: one nginx worker that answers from memory.

It must never be what is measured, so it does nothing but answer: small bodies are part of its
configuration, the large one is a file in a RAM file system sent by sendfile. Keep-alive is
unlimited, nothing is logged. gRPC calls are answered by our load generator's server: nginx would
answer before it has read the call, and reset the stream.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtests.peers import loadgen
from testkit.peers import write_nginx_config
from testkit.ports import free_port, is_listening
from testkit.process import Process

BODY_BYTES = {"/64": 64, "/4k": 4096, "/1m": 1 << 20}
# nginx refuses configuration tokens above its 4 KB buffer: the 4 KB body is put together.
_CHUNK_BYTES = 2048
# No session lasts so long: a server that was left alone must end by itself.
_GRPC_SERVER_S = 24 * 3600


@dataclass(frozen=True)
class Backend:
    """Where it listens on 127.0.0.1.

    Attributes:
        port: HTTP/1.1.
        grpc_port: gRPC over HTTP/2 with prior knowledge.
        websocket_port: Free for the WebSocket server that comes with its clients (`loadgen.py`).
    """

    port: int
    grpc_port: int
    websocket_port: int

    @classmethod
    def on_free_ports(cls) -> "Backend":
        """Ports that nobody listens on now."""
        return cls(free_port(), free_port(), free_port())

    @contextmanager
    def running(self, directory: Path, cores: set[int]) -> Iterator[None]:
        """While the block runs; files in ``directory`` (best a RAM file system)."""
        (directory / "1m").write_bytes(body_of("/1m"))
        nginx = write_nginx_config(directory, "backend", _http(directory, self.port))
        grpc = loadgen.grpc_server(self.grpc_port, _GRPC_SERVER_S)
        with (
            Process(nginx, directory=directory, name="backend", cores=cores) as http_server,
            Process(grpc, directory=directory, name="grpc", cores=cores) as grpc_server,
        ):
            http_server.wait_ready(lambda: is_listening(self.port))
            grpc_server.wait_ready(lambda: is_listening(self.grpc_port))
            yield


def body_of(path: str) -> bytes:
    """The exact body the backend answers for a path of ``BODY_BYTES``."""
    pattern = b"trunkline peers benchmark body, 64 bytes of printable ASCII ...\n"
    return (pattern * (BODY_BYTES[path] // len(pattern) + 1))[: BODY_BYTES[path]]


def grpc_message() -> bytes:
    """The 64-byte body as gRPC frames messages: not compressed, four bytes of length.

    It is what is sent and what comes back.
    """
    body = body_of("/64")
    return b"\0" + len(body).to_bytes(4, "big") + body


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
