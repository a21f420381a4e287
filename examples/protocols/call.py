"""A gRPC client: one call of each kind to the demo shop.

    python examples/protocols/call.py ADDRESS [--ca FILE]

With `--ca` over TLS, believing that authority; without in the clear.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import grpc  # type: ignore[import-untyped, unused-ignore]

DEADLINE_S = 10


def main() -> None:
    """Call, and print what comes."""
    parser = argparse.ArgumentParser(description="calls the demo shop")
    parser.add_argument("address", help="host:port")
    parser.add_argument("--ca", type=Path, help="whom to believe (PEM)")
    options = parser.parse_args()
    with open_channel(options.address, options.ca) as channel:
        for line in calls(channel):
            print(line, flush=True)


def open_channel(address: str, ca: Path | None) -> grpc.Channel:
    """A channel, over TLS if there is an authority to believe."""
    if ca is None:
        return grpc.insecure_channel(address)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(ca.read_bytes()))


def calls(channel: grpc.Channel) -> Iterator[str]:
    """A line for each answer."""
    price = channel.unary_unary("/demo.Shop/Price")
    yield f"Price(compass): {price(b'compass', timeout=DEADLINE_S).decode()}"
    for cents in channel.unary_stream("/demo.Shop/Watch")(b"kettle", timeout=DEADLINE_S):
        yield f"Watch(kettle): {cents.decode()}"
    basket = iter([b"lantern", b"kettle"])
    total = channel.stream_unary("/demo.Shop/Total")(basket, timeout=DEADLINE_S)
    yield f"Total(lantern, kettle): {total.decode()}"
    offers = iter([b"1000", b"1400", b"1500"])
    for answer in channel.stream_stream("/demo.Shop/Haggle")(offers, timeout=DEADLINE_S):
        yield f"Haggle: {answer.decode()}"
    try:
        price(b"moon", timeout=DEADLINE_S)
    except grpc.RpcError as error:
        yield f"Price(moon): {error.code().name}: {error.details()}"


if __name__ == "__main__":
    main()
