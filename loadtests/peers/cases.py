"""What is measured: the table of cases, each with the targets it is held to.

A target is a ratio to a peer, figure against figure in the same run, or an absolute bound. They
are the project's own (README, results); this file is where they are written down for the report.
"""

from dataclasses import dataclass, field

# The figure each kind of case is compared by, and whether more of it is better.
FIGURES = {
    "requests": ("requests_per_cpu_second", True),
    "bytes": ("bytes_per_cpu_second", True),
    "half_load": ("p99_us", False),
    "swap": ("p99_us", False),
    "streams": ("requests_per_cpu_second", True),
    "full_handshakes": ("handshakes_per_cpu_second", True),
    "resumed_handshakes": ("handshakes_per_cpu_second", True),
    "messages": ("messages_per_cpu_second", True),
    "idle": ("rss_bytes_per_connection", False),
}


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        name: For ``--case`` and the report.
        kind: A key of ``FIGURES``: which measurement is made.
        body: Path of the backend that gives the body.
        connections: Client connections of the load generator.
        tls: Clients speak TLS 1.3.
        http2: Clients speak HTTP/2: by ALPN over TLS, else with prior knowledge.
        grpc: Requests are unary gRPC calls, HTTP/2 on both sides.
        in_flight: Requests (HTTP/2) or messages (WebSocket) in flight on each connection.
        gateway_chain: trunkline runs its gateway chain, the peers proxy plainly.
        route_count: Routes in the configuration; the load walks over them.
        targets: Peer name to the ratio (trunkline / peer) to reach, a floor where more is
            better and a ceiling where less is.
        bound: What trunkline's figure is held to by itself, None for no such bound.
    """

    name: str
    kind: str
    body: str = "/64"
    connections: int = 64
    tls: bool = False
    http2: bool = False
    grpc: bool = False
    in_flight: int = 1
    gateway_chain: bool = False
    route_count: int = 0
    targets: dict[str, float] = field(default_factory=dict)
    bound: float | None = None

    @property
    def figure(self) -> str:
        """Name of the compared figure."""
        return FIGURES[self.kind][0]

    @property
    def more_is_better(self) -> bool:
        """Direction of the compared figure."""
        return FIGURES[self.kind][1]

    @property
    def is_plain_speed(self) -> bool:
        """Whether it is about speed with HTTP/1.1 and without TLS."""
        return self.kind in {"requests", "bytes"} and not self.tls


_PROXY = {"nginx": 1.30, "haproxy": 1.40}
_GATEWAY = {"nginx": 1.15}
_NO_WORSE = {"nginx": 1.0, "haproxy": 1.0}
# Memory of user space for a connection that waits.
_PLAIN_BYTES, _TLS_BYTES = 2048, 10_240

CASES = (
    Case("small64", "requests", targets=_PROXY),
    Case("small256", "requests", connections=256, targets=_PROXY),
    Case("medium64", "requests", "/4k", targets=_PROXY),
    Case("medium256", "requests", "/4k", connections=256, targets=_PROXY),
    Case("large64", "bytes", "/1m", targets={"haproxy": 1.0}),
    Case("gateway64", "requests", gateway_chain=True, targets=_GATEWAY),
    Case("gateway256", "requests", connections=256, gateway_chain=True, targets=_GATEWAY),
    Case("gateway_medium64", "requests", "/4k", gateway_chain=True, targets=_GATEWAY),
    Case("routes64", "requests", route_count=10_000, targets=_PROXY),
    Case("half_load64", "half_load", targets=_NO_WORSE),
    Case("half_load256", "half_load", connections=256, targets=_NO_WORSE),
    Case("swap64", "swap", route_count=10_000),
    Case("tls64", "requests", tls=True, targets=_NO_WORSE),
    Case("handshakes", "full_handshakes", tls=True, targets=_NO_WORSE),
    Case("resumptions", "resumed_handshakes", tls=True, targets=_NO_WORSE),
    Case("h2", "streams", connections=32, tls=True, http2=True, in_flight=10, targets=_NO_WORSE),
    Case("h2c", "streams", connections=32, http2=True, in_flight=10, targets=_NO_WORSE),
    Case(
        "grpc",
        "streams",
        "/peers.Echo/Say",
        connections=32,
        http2=True,
        grpc=True,
        in_flight=10,
        targets=_NO_WORSE,
    ),
    Case("websocket64", "messages", targets=_NO_WORSE),
    Case("websocket_stream64", "messages", in_flight=16, targets=_NO_WORSE),
    Case("idle", "idle", connections=10_000, bound=_PLAIN_BYTES),
    Case("idle_tls", "idle", connections=10_000, tls=True, bound=_TLS_BYTES),
    Case("idle_h2c", "idle", connections=10_000, http2=True),
    Case("idle_h2", "idle", connections=10_000, tls=True, http2=True),
)
