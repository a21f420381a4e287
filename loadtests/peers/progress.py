"""A record as one line for people who watch a run."""

from loadtests.peers.results import Record

_SHOWN = (
    "requests_per_cpu_second",
    "handshakes_per_cpu_second",
    "messages_per_cpu_second",
    "bytes_per_cpu_second",
    "cpu_share",
    "p50_us",
    "p99_us",
    "rss_bytes_per_connection",
    "p99_over_quiet",
    "failed",
)


def line_of(record: Record) -> str:
    """The figures that say at a glance whether the run is sound."""
    figures = record.figures
    told = " ".join(f"{name}={figures[name]:.6g}" for name in _SHOWN if name in figures)
    return f"{record.case:18} {record.subject:10} round {record.round_number} {told}"
