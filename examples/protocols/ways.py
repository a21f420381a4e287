"""What to try: shell commands that speak to the front door in every way, in order.

Each is complete, true to the run that printed it, and can be copied as it stands;
tests/examples/test_protocols.py runs every one of them.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Way:
    """One thing to try: what it shows, and the shell command."""

    title: str
    command: str


def ways(ports: Mapping[int, int], files: Path, config_path: Path) -> list[Way]:
    """All of them.

    Args:
        ports: Where those of trunkline.toml went.
        files: The folder of the certificates.
        config_path: The configuration of this run.
    """
    plain, relayed = f"127.0.0.1:{ports[9280]}", f"127.0.0.1:{ports[9281]}"
    secure, ca = f"127.0.0.1:{ports[9443]}", relative(files / "ca.pem")
    tls, chat = f"--cacert {ca} https://{secure}", relative(HERE / "chat.py")
    python, call = relative(Path(sys.executable)), relative(HERE / "call.py")
    trunkline = relative(Path(sys.executable).with_name("trunkline"))
    grpc = "-s -X POST -H 'Content-Type: application/grpc"
    return [
        Way("HTTP/1.1", f"curl -si http://{plain}/"),
        Way("HTTP/2 without TLS", f"curl -si --http2-prior-knowledge http://{plain}/"),
        Way("HTTP/2 over TLS, by ALPN", f"curl -si {tls}/"),
        Way("HTTP/1.1 over TLS", f"curl -si --http1.1 {tls}/"),
        Way("What a server sees of it", f"curl -s {tls}/headers"),
        Way(
            "Compressed, if the client takes it",
            f"curl -s --compressed -D - -o /dev/null http://{plain}/catalogue",
        ),
        Way(
            "Nine of ten from blue, one from green",
            f"for i in $(seq 20); do curl -s http://{plain}/; done | sort | uniq -c",
        ),
        Way("Events, each as it comes", f"curl -sN {tls}/events"),
        Way("WebSocket", f"{python} {chat} ws://{plain}/chat hello 'are you there?'"),
        Way("WebSocket over TLS", f"{python} {chat} --ca {ca} wss://{secure}/chat hello"),
        Way("gRPC, all four kinds of calls", f"{python} {call} {plain}"),
        Way("gRPC over TLS", f"{python} {call} --ca {ca} {secure}"),
        Way(
            "gRPC-Web: a browser asks what a compass costs",
            f"printf '\\0\\0\\0\\0\\7compass' | curl {grpc}-web+proto' --data-binary @- "
            f"http://{plain}/demo.Shop/Price | tr -c '[:print:]' '\\n'",
        ),
        Way(
            "A method that nobody has: a status of gRPC, no page",
            f"curl -i {grpc}' http://{plain}/demo.Nothing/Do",
        ),
        Way("Behind a relay", f"curl -si --haproxy-protocol http://{relayed}/headers"),
        Way("Past the relay: closed", f"curl -s http://{relayed}/ || echo turned away"),
        Way("HTTP/2 under load", f"h2load -n 2000 -c 4 -m 10 https://{secure}/"),
        Way("HTTP/1.1 under load", f"wrk -t 1 -c 16 -d 1s http://{plain}/"),
        Way("Every server", f"{trunkline} status --config {relative(config_path)}"),
    ]


def relative(path: Path) -> str:
    """The path as one would type it here."""
    return os.path.relpath(path)


def show(all_ways: Sequence[Way]) -> None:
    """Print them."""
    console = Console(highlight=False)
    for way in all_ways:
        console.print(f"\n# {way.title}", style="green", markup=False)
        console.print(way.command, soft_wrap=True, markup=False)
    console.print("\nCtrl-C drains and stops all.", style="bold")
