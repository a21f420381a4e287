"""What trunkline is configured to do in the soak, and where its parts listen.

Two listeners, plain and TLS, both with HTTP/1.1 and HTTP/2. Everything goes to servers that live
through the run, except ``/mortal`` and the service ``soak.Mortal``: their servers are killed one at
a time.
"""

from dataclasses import dataclass, field

from loadtests.soak.protocol import MORTAL_SERVICE, SERVICE
from testkit.certificates import Issued
from testkit.ports import free_port

GRACE_S = 10


@dataclass(frozen=True)
class Server:
    """One server's ports on 127.0.0.1: HTTP with WebSockets, and gRPC."""

    port: int = field(default_factory=free_port)
    grpc_port: int = field(default_factory=free_port)


def _two_servers() -> tuple[Server, Server]:
    return (Server(), Server())


@dataclass(frozen=True)
class Site:
    """Ports on 127.0.0.1, and the configuration that ties them together.

    Attributes:
        certificate: Of the TLS listener; None leaves the listener out.
        with_grpc: Whether gRPC is routed.
        port: Plain.
        tls_port: TLS.
        immortal: Servers that live through the run.
        mortal: Servers that are killed.
    """

    certificate: Issued | None
    with_grpc: bool
    port: int = field(default_factory=free_port)
    tls_port: int = field(default_factory=free_port)
    immortal: tuple[Server, ...] = field(default_factory=_two_servers)
    mortal: tuple[Server, ...] = field(default_factory=_two_servers)

    def config(self, variant: int) -> str:
        """TOML; variants differ in what a reload may change while everything goes on."""
        listeners = self._listener("plain", self.port, "")
        if self.certificate:
            files = (
                f'certificate = "{self.certificate.certificate}", key = "{self.certificate.key}"'
            )
            listeners += self._listener("tls", self.tls_port, f"tls = {{ {files} }}")
        return (
            f'[runtime]\nthreads = 2\ngrace = "{GRACE_S}s"\nready_file = "ready"\n'
            f'[admin]\nlisten = "127.0.0.1:0"\n{listeners}{self._pools(variant)}'
        )

    def _listener(self, name: str, port: int, more: str) -> str:
        text = f'[lb.http.{name}]\nlisten = ["127.0.0.1:{port}"]\npool = "immortal"\n{more}\n'
        routes = [("/mortal", "mortal")]
        if self.with_grpc:
            routes += [(f"/{SERVICE}", "calls"), (f"/{MORTAL_SERVICE}", "mortal_calls")]
        for prefix, pool in routes:
            text += f'[[lb.http.{name}.routes]]\nprefix = "{prefix}"\npool = "{pool}"\n'
        return text

    def _pools(self, variant: int) -> str:
        algorithm = ("round_robin", "least_connections", "power_of_two")[variant % 3]
        check = 'health = { kind = "tcp", interval = "200ms", timeout = "1s", fall = 1, rise = 1 }'
        pools = [("immortal", [server.port for server in self.immortal], algorithm, "")]
        pools += [("mortal", [server.port for server in self.mortal], algorithm, check)]
        if self.with_grpc:
            for name, servers in (("calls", self.immortal), ("mortal_calls", self.mortal)):
                more = f'protocol = "h2"\n{check}'
                pools += [(name, [server.grpc_port for server in servers], algorithm, more)]
        return "".join(_pool(*pool) for pool in pools)


def _pool(name: str, ports: list[int], algorithm: str, more: str) -> str:
    servers = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    return f'[lb.pools.{name}]\nalgorithm = "{algorithm}"\nservers = [{servers}]\n{more}\n'
