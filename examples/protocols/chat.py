"""A WebSocket client that does as browsers do: it offers compression and names its origin.

    python examples/protocols/chat.py URL [--ca FILE] MESSAGE …

Sends each message and prints the answer. `--ca` says whom to believe for `wss:`.
"""

import argparse
import ssl
from pathlib import Path

from websockets.sync.client import connect
from websockets.typing import Origin

ORIGIN = Origin("https://app.example")
TIMEOUT_S = 10


def main() -> None:
    """Connect, and print what comes."""
    parser = argparse.ArgumentParser(description="talks to the demo chat")
    parser.add_argument("url", help="ws: or wss:")
    parser.add_argument("--ca", type=Path, help="whom to believe (PEM)")
    parser.add_argument("messages", nargs="+")
    options = parser.parse_args()
    trust = ssl.create_default_context(cafile=options.ca) if options.ca else None
    with connect(options.url, origin=ORIGIN, ssl=trust) as connection:
        extensions = [extension.name for extension in connection.protocol.extensions]
        print(f"connected; extensions: {', '.join(extensions)}")
        for message in options.messages:
            connection.send(message)
            print(connection.recv(timeout=TIMEOUT_S), flush=True)


if __name__ == "__main__":
    main()
