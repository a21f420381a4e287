"""What every subject has: a configuration, a command, a way to reload, and its processes.

A subject runs in the foreground in its own directory, on one loopback port, bound to the proxy's
core. It is measured as the sum over its process and all descendants.
"""

import ssl
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from loadtests.peers.backend import Backend
from testkit import procfs
from testkit.certificates import Authority, Issued
from testkit.ports import is_listening
from testkit.process import Process


@dataclass(frozen=True)
class Setup:
    """The work a subject is configured for.

    Attributes:
        directory: Its own, empty.
        port: Where it listens on 127.0.0.1.
        backend: Where it forwards to on 127.0.0.1.
        authority: Who vouches for ``certificate``.
        certificate: Shown to clients over TLS 1.3, in a P-256 key; None for no TLS.
        http2: Clients speak HTTP/2, over TLS by ALPN, else with prior knowledge.
        grpc: Clients call gRPC methods, the backend's port for them is used.
        websocket: Clients upgrade to WebSockets, the backend's port for them is used.
        route_count: 0 = everything goes to the backend; else that many exact paths ``/r/N``.
        gateway_chain: Put the gateway filters before the proxying, for subjects that have them.
    """

    directory: Path
    port: int
    backend: Backend
    authority: Authority | None = None
    certificate: Issued | None = None
    http2: bool = False
    grpc: bool = False
    websocket: bool = False
    route_count: int = 0
    gateway_chain: bool = False

    @property
    def backend_port(self) -> int:
        """The one of the backend's ports that the work is for."""
        if self.grpc:
            return self.backend.grpc_port
        return self.backend.websocket_port if self.websocket else self.backend.port

    def client_context(self, alpn: Sequence[str] = ()) -> ssl.SSLContext | None:
        """For a client of the subject that verifies it; None if it speaks no TLS."""
        if self.authority is None:
            return None
        context = self.authority.client_context(alpn=alpn)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context

    def route_paths(self) -> list[str]:
        """The exact paths of the routes."""
        return [f"/r/{number}" for number in range(self.route_count)]


class Subject(ABC):
    """A proxy that runs while the ``with`` block does."""

    name: ClassVar[str]
    # Whether it has a gateway chain of its own; the others stand for plain proxying there.
    has_gateway_chain: ClassVar[bool] = False

    def __init__(self, setup: Setup, cores: set[int]) -> None:
        self.setup = setup
        self.process = Process(
            self.prepare(),
            directory=setup.directory,
            name=self.name,
            environment=self.environment(),
            cores=cores,
        ).wait_ready(lambda: is_listening(setup.port))

    @abstractmethod
    def prepare(self) -> list[str]:
        """Write the configuration; the command, which must stay in the foreground."""

    def environment(self) -> dict[str, str]:
        """What the program wants beside the environment of this process."""
        return {}

    @abstractmethod
    def reload(self) -> None:
        """Ask the running program to read its configuration again."""

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """One line for the report."""

    def url(self, path: str) -> str:
        """Where a path of the backend is reached through this subject."""
        scheme = "http" if self.setup.certificate is None else "https"
        return f"{scheme}://127.0.0.1:{self.setup.port}{path}"

    def cpu_seconds(self) -> float:
        """CPU time of all its processes so far."""
        return sum(map(procfs.cpu_seconds, procfs.family(self.process.pid)))

    def rss_bytes(self) -> int:
        """Resident memory of all its processes (shared pages count in each)."""
        return sum(map(procfs.rss_bytes, procfs.family(self.process.pid)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()


def first_output_line(command: list[str]) -> str:
    """What a program says first, on either stream (nginx -v talks to stderr)."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return (done.stdout + done.stderr).splitlines()[0]
