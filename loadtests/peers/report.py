"""The markdown page of a run: one table of ratios against targets, one of figures, the method."""

from collections.abc import Sequence

from loadtests.peers.cases import Case
from loadtests.peers.results import OURS, Record, median_of, median_ratio, values

_TITLE = "# Side by side with nginx and HAProxy"
_METHOD = """\
## Method

Every subject proxies with keep-alive on both sides, in one worker (nginx `worker_processes 1`,
HAProxy `nbthread 1`, trunkline `threads = 1`), without access log, bound to core 0. To the backend
it speaks HTTP/1.1, for gRPC HTTP/2. The backend (one nginx worker that answers from memory) and the
load generator share core 1: where CPU % is well below 100, they were the bottleneck, and only the
figure per CPU-second says something. TLS is 1.3 alone, with a P-256 certificate.

A round runs the subjects one after the other, each freshly started, each round beginning with
another one; one second of warm-up is not counted. Before and after each measurement the answers are
compared byte for byte; during it every status other than 2xx and 3xx and every socket error counts
as failed. Figures are medians over the rounds, ratios are medians of the ratios within a round.

- **requests, bytes**: wrk, one request in flight on each connection. CPU time is what the kernel
  scheduled for all processes and threads of the proxy (its process CPU clocks), user and system;
  for trunkline that includes the control plane in Python. Bytes are response bytes on the wire.
- **half_load**: h2load at half of what the slowest subject can do, the same absolute rate for all,
  connections opened 1 ms apart so that they do not tick in one burst. A late answer delays the next
  request of its connection only.
- **swap**: wrk with random pauses, about a third of full speed, over 10 000 routes; a reload each
  second (SIGHUP; HAProxy SIGUSR2 to its master). p99 beside the p99 of the same process left alone
  just before. wrk opens closed connections again; a request that died with one is a failure.
- **h2, h2c, grpc**: h2load at full speed, 32 connections with 10 requests in flight on each; over
  TLS, and with prior knowledge without. gRPC calls are unary, 64 bytes each way, answered with a
  trailer by a server of our own (`loadtests/peers/loadgen`): nginx answers before it has read a
  call.
- **handshakes, resumptions**: `loadtests/peers/loadgen`, 64 clients that connect, ask once and are
  closed by the server; in full, or with a ticket of the connection before. A handshake of the
  other kind counts as failed. The client does not verify the certificate: it is the cheaper side.
- **websocket**: the same program is client and server, 64 connections with one message of 64 bytes
  in flight on each, or 16 (stream). Each message and each echo is a message relayed; every byte is
  compared.
- **idle**: growth of resident memory over connections that sent one request and stay open.

The configurations are in `loadtests/peers/subjects/`.
"""


def render(facts: dict[str, str], cases: Sequence[Case], records: Sequence[Record]) -> str:
    """The whole page."""
    parts = [_TITLE, _facts(facts), "## Ratios", _ratios(cases, records)]
    parts += ["## Figures", _figures(cases, records), _METHOD]
    return "\n\n".join(parts)


def _facts(facts: dict[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def _ratios(cases: Sequence[Case], records: Sequence[Record]) -> str:
    rows = []
    for case in cases:
        rows += [_ratio_row(case, peer, records) for peer in case.targets]
        rows += [_bound_row(case, case.bound, records)] if case.bound is not None else []
    return _table(["case", "figure", "peer", "trunkline / peer", "target", "met"], rows)


def _ratio_row(case: Case, peer: str, records: Sequence[Record]) -> list[str]:
    ratio = median_ratio(records, case.name, peer, case.figure)
    return [case.name, case.figure, peer, *_verdict(case, ratio, case.targets[peer], 2)]


def _bound_row(case: Case, bound: float, records: Sequence[Record]) -> list[str]:
    """Trunkline by itself: the value stands where others have the ratio."""
    value = median_of(records, case.name, OURS, case.figure)
    return [case.name, case.figure, "(itself)", *_verdict(case, value, bound, 0)]


def _verdict(case: Case, value: float | None, target: float, digits: int) -> list[str]:
    told = f"{'≥' if case.more_is_better else '≤'} {target:.{digits}f}"
    if value is None:
        return ["not run", told, ""]
    met = value >= target if case.more_is_better else value <= target
    return [f"{value:.{digits}f}", told, "yes" if met else "no"]


# Column title, figure, divisor, digits after the point.
_COLUMNS = (
    ("k requests / CPU-s", "requests_per_cpu_second", 1e3, 1),
    ("k handshakes / CPU-s", "handshakes_per_cpu_second", 1e3, 2),
    ("k messages / CPU-s", "messages_per_cpu_second", 1e3, 0),
    ("MB / CPU-s", "bytes_per_cpu_second", 1e6, 0),
    ("k requests / s", "requests_per_second", 1e3, 1),
    ("CPU %", "cpu_share", 0.01, 0),
    ("p50 µs", "p50_us", 1, 0),
    ("p99 µs", "p99_us", 1, 0),
    ("p99 quiet µs", "quiet_p99_us", 1, 0),
    ("bytes / idle connection", "rss_bytes_per_connection", 1, 0),
    ("RSS MiB", "rss_bytes", 2**20, 1),
)


def _figures(cases: Sequence[Case], records: Sequence[Record]) -> str:
    subjects = list(dict.fromkeys([OURS, *(record.subject for record in records)]))
    rows = [
        _figure_row(case, subject, records)
        for case in cases
        for subject in subjects
        if values(records, case.name, subject, "failed")
    ]
    return _table(["case", "subject", *(title for title, *_ in _COLUMNS), "failed"], rows)


def _figure_row(case: Case, subject: str, records: Sequence[Record]) -> list[str]:
    cells = [case.name, subject]
    for _, figure, divisor, digits in _COLUMNS:
        value = median_of(records, case.name, subject, figure)
        cells.append("" if value is None else f"{value / divisor:.{digits}f}")
    failed = sum(values(records, case.name, subject, "failed").values())
    return [*cells, f"{failed:.0f}"]


def _table(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
