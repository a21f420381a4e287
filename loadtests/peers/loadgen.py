"""Our own load generator: new TLS connections, WebSocket messages, a gRPC server (``loadgen/``).

wrk and h2load make neither: wrk keeps a session when it connects again, so nobody knows which kind
of handshake it made, and both know nothing of WebSocket.
"""

import json
import subprocess
from functools import cache
from pathlib import Path

from loadtests.peers.generator import Load, Target, run_pinned

_SOURCE = Path(__file__).with_name("loadgen")
# Built things of the repository go there, and `make clean` removes them.
_BUILD = Path(__file__).resolve().parents[2] / "build" / "loadgen"
_BUILD_TIMEOUT_S = 600


@cache
def program() -> Path:
    """Build it if need be; where it is.

    Raises:
        subprocess.CalledProcessError: If the compiler failed.
    """
    command = ["cargo", "build", "--quiet", "--release", "--locked"]
    command += ["--manifest-path", str(_SOURCE / "Cargo.toml"), "--target-dir", str(_BUILD)]
    subprocess.run(command, timeout=_BUILD_TIMEOUT_S, check=True)
    return _BUILD / "release" / "loadgen"


def grpc_server(port: int, seconds: float) -> list[str]:
    """The command of a server that answers unary calls with their own message, so long at most."""
    return [str(program()), "grpc", "--port", str(port), "--seconds", str(seconds)]


def run_handshakes(target: Target, port: int, seconds: float, *, resumed: bool) -> Load:
    """New TLS 1.3 connections, each with one request, closed by the server.

    Every connection makes the kind of handshake that was asked for, or counts as failed.

    Args:
        target: Its connections are open at the same time.
        port: Of the proxy on 127.0.0.1.
        seconds: How long.
        resumed: With a ticket, else in full.

    Raises:
        RuntimeError: If the generator failed.
        subprocess.TimeoutExpired: If it hung.
    """
    kind = "resumed" if resumed else "full"
    return _run(target, seconds, "handshakes", port=port, kind=kind, path="/64")


def run_websocket(
    target: Target, port: int, backend_port: int, seconds: float, window: int
) -> Load:
    """Messages of 64 bytes there and back; a request is one message with its echo.

    Args:
        target: Its connections are WebSockets.
        port: Of the proxy on 127.0.0.1.
        backend_port: Where the proxy goes to; the generator is the server there, too.
        seconds: How long.
        window: Messages in flight on each connection.

    Raises:
        RuntimeError: If the generator failed.
        subprocess.TimeoutExpired: If it hung.
    """
    more: dict[str, str | int] = {"backend-port": backend_port, "window": window}
    return _run(target, seconds, "websocket", port=port, **more, **{"message-bytes": 64})


def _run(target: Target, seconds: float, what: str, **options: str | int) -> Load:
    command = [str(program()), what, "--connections", str(target.connections)]
    command += ["--seconds", str(seconds)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    raw = json.loads(run_pinned(command, seconds, target.cores))
    return Load(
        requests=raw["done"],
        duration_s=raw["duration_us"] / 1e6,
        response_bytes=raw["bytes"],
        p50_us=raw["p50_us"],
        p99_us=raw["p99_us"],
        max_us=raw["max_us"],
        errors={"failed_connections": raw["failed"]},
    )
