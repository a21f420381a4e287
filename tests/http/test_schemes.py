"""A request for a resource of one scheme, by a connection of the other (RFC 9110 §7.4)."""

import ssl
from collections.abc import Iterator

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived

from testkit.certificates import Authority
from testkit.client import Client
from testkit.ports import free_port
from testkit.trunkline import Trunkline
from testkit.upstream import Upstream
from vectors.http1_row import request_line

LISTENERS = {
    "plain": "",
    "trusting": 'forwarding.trusted = ["127.0.0.0/8"]',
    "introduced": "proxy_protocol = true",
    "secure": 'tls = {{ certificate = "{folder}/test.pem", key = "{folder}/test.key" }}',
}
PROXY = b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"
# Listener and scheme of the target → status.
ANSWERS = {
    ("plain", "http"): 200,
    ("plain", "https"): 421,
    ("plain", "HTTPS"): 421,
    ("trusting", "https"): 200,
    ("introduced", "https"): 200,
    ("secure", "https"): 200,
    ("secure", "http"): 421,
}


@pytest.fixture(scope="module")
def port_of() -> dict[str, int]:
    """Where each listener listens."""
    return {name: free_port() for name in LISTENERS}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def _proxy(
    tmp_path_factory: pytest.TempPathFactory, port_of: dict[str, int], upstream: Upstream
) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("proxy")
    Authority(folder, "ca").issue("test", ["test"])
    listeners = (
        f'[lb.http.{name}]\nlisten = "127.0.0.1:{port_of[name]}"\npool = "app"\n'
        f"reason_header = true\n{keys.format(folder=folder)}\n"
        for name, keys in LISTENERS.items()
    )
    pool = f'[lb.pools.app]\nservers = ["127.0.0.1:{upstream.port}"]\n'
    with Trunkline(folder, "".join(listeners) + pool):
        yield


def connect(listener: str, port: int, protocol: str) -> Client:
    """A connection as the listener wants it."""
    client = Client(port)
    if listener == "introduced":
        client.send(PROXY)
    if listener == "secure":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols([protocol])
        client.socket = context.wrap_socket(client.socket, server_hostname="test")
    return client


@pytest.mark.parametrize(("listener", "scheme"), ANSWERS)
def test_absolute_targets(listener: str, scheme: str, port_of: dict[str, int]) -> None:
    with connect(listener, port_of[listener], "http/1.1") as client:
        reply = client.request(request_line(f"GET {scheme}://test/ HTTP/1.1".encode()))
        refused = ANSWERS[listener, scheme] == 421
        assert reply.status == ANSWERS[listener, scheme]
        assert reply.values("X-Trunkline-Reason") == (["wrong_scheme"] if refused else [])
        assert not refused or client.is_closed()


def status_on_a_stream(client: Client, scheme: str) -> int:
    """What a GET with this ``:scheme`` is answered with."""
    connection = H2Connection(H2Configuration())
    connection.initiate_connection()
    head = {":method": "GET", ":scheme": scheme, ":authority": "test", ":path": "/"}
    connection.send_headers(1, list(head.items()), end_stream=True)
    client.send(connection.data_to_send())
    while True:
        for event in connection.receive_data(client.socket.recv(65536)):
            if isinstance(event, ResponseReceived):
                return int(dict(event.headers)[b":status"])


@pytest.mark.parametrize(("listener", "scheme"), ANSWERS)
def test_schemes_of_streams(listener: str, scheme: str, port_of: dict[str, int]) -> None:
    with connect(listener, port_of[listener], "h2") as client:
        assert status_on_a_stream(client, scheme) == ANSWERS[listener, scheme]


def test_other_schemes_contradict_nothing(port_of: dict[str, int]) -> None:
    with connect("plain", port_of["plain"], "h2") as client:
        assert status_on_a_stream(client, "coap") == 200
