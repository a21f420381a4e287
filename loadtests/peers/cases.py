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
        gateway_chain: trunkline runs its gateway chain, the peers proxy plainly.
        route_count: Routes in the configuration; the load walks over them.
        targets: Peer name to the ratio (trunkline / peer) to reach, a floor where more is
            better and a ceiling where less is.
    """

    name: str
    kind: str
    body: str = "/64"
    connections: int = 64
    gateway_chain: bool = False
    route_count: int = 0
    targets: dict[str, float] = field(default_factory=dict)

    @property
    def figure(self) -> str:
        """Name of the compared figure."""
        return FIGURES[self.kind][0]

    @property
    def more_is_better(self) -> bool:
        """Direction of the compared figure."""
        return FIGURES[self.kind][1]


_PROXY = {"nginx": 1.30, "haproxy": 1.40}
_GATEWAY = {"nginx": 1.15}
_NO_WORSE = {"nginx": 1.0, "haproxy": 1.0}

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
    Case("idle", "idle", connections=10_000),
)
