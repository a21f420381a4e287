"""A real WebSocket client and server with the proxy between them."""

from collections.abc import Iterator
from threading import Thread

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import Close
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve

from testkit.trunkline import Trunkline
from testkit.upstream import Upstream


def _answer_messages(connection: ServerConnection) -> None:
    """Each message back; ``bye`` ends it from this side."""
    for message in connection:
        if message == "bye":
            connection.close(4001, "as you wish")
        else:
            connection.send(message)


@pytest.fixture
def websocket_server(upstream_port: int) -> Iterator[Server]:
    with serve(_answer_messages, "127.0.0.1", upstream_port) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def websocket(
    ports: dict[str, int], proxy: Trunkline, websocket_server: Server
) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{ports['plain']}/chat?room=1") as connection:
        yield connection


def test_messages_of_all_sizes(websocket: ClientConnection) -> None:
    messages: list[str | bytes] = [
        "",
        "hi",
        "é" * 1_000,
        b"\x00" * 70_000,
        bytes(range(256)) * 4_096,
    ]
    for message in messages:
        websocket.send(message)
        assert websocket.recv(timeout=5) == message


def test_many_messages_in_flight(websocket: ClientConnection) -> None:
    messages = [str(number) for number in range(500)]
    for message in messages:
        websocket.send(message)
    assert [websocket.recv(timeout=5) for _ in messages] == messages


def test_ping(websocket: ClientConnection) -> None:
    assert websocket.ping(b"are you there?").wait(5)


def test_closed_by_the_client(websocket: ClientConnection) -> None:
    websocket.close(4000, "enough")
    assert (websocket.close_code, websocket.close_reason) == (4000, "enough")


def test_closed_by_the_server(websocket: ClientConnection) -> None:
    websocket.send("bye")
    with pytest.raises(ConnectionClosedError) as caught:
        websocket.recv(timeout=5)
    assert caught.value.rcvd == Close(4001, "as you wish")


def test_refused_by_the_server(ports: dict[str, int], upstream: Upstream) -> None:
    with pytest.raises(InvalidStatus, match="HTTP 200"):
        connect(f"ws://127.0.0.1:{ports['plain']}/")
