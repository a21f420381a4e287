"""What RFC 9110 and 9112 demand of an intermediary, row by row, on the wire.

Each row is an exchange (``rfc_row.py``). After it one more request is sent, on the same connection
if it stays open: that it is answered, and is the only one more at the server, shows that both sides
agree on where the messages ended.
"""

from collections.abc import Iterable, Iterator

import pytest

from conformance import (
    rows_9110_fields,
    rows_9110_routing,
    rows_9110_semantics,
    rows_9112_bodies,
    rows_9112_connections,
    rows_9112_messages,
)
from conformance.rfc_row import Row
from testkit.client import BadResponseError, Client, Response
from testkit.ports import free_port
from testkit.trunkline import Trunkline
from testkit.upstream import (
    OK,
    WELL_BEHAVED,
    Script,
    Upstream,
    forever,
    hang,
    read_head,
    read_request,
    reset,
    send,
)
from vectors.http1_row import GET

ROWS = [
    *rows_9110_fields.ROWS,
    *rows_9110_routing.ROWS,
    *rows_9110_semantics.ROWS,
    *rows_9112_messages.ROWS,
    *rows_9112_bodies.ROWS,
    *rows_9112_connections.ROWS,
]
# Name of the listener → its routes.
LISTENERS = {
    "plain": '[{ pool = "app", retry.attempts = 1 }]',
    "retrying": '[{ pool = "app", retry.attempts = 3 }]',
    "tunnels": '[{ pool = "app", methods = ["CONNECT"], retry.attempts = 1 }, { pool = "app" }]',
    "hosts": '[{ pool = "app", host = "other.test" }]',
    "methods": '[{ pool = "app", methods = ["GET", "OPTIONS"] }]',
}


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """Where each listener listens."""
    return {name: free_port() for name in LISTENERS}


@pytest.fixture(scope="module")
def server_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def proxy(
    tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int], server_port: int
) -> Iterator[Trunkline]:
    listeners = (
        f'[lb.http.{name}]\nlisten = "127.0.0.1:{ports[name]}"\n'
        f'forwarding = {{ via = "edge" }}\nroutes = {routes}\n'
        for name, routes in LISTENERS.items()
    )
    pool = f'[lb.pools.app]\nservers = ["127.0.0.1:{server_port}"]\n'
    with Trunkline(tmp_path_factory.mktemp("proxy"), "".join(listeners) + pool) as running:
        yield running


@pytest.fixture
def server(server_port: int, proxy: Trunkline) -> Iterator[Upstream]:
    """What is behind the proxy; closing it resets the connections that the proxy kept."""
    with Upstream(port=server_port) as upstream:
        yield upstream


def script(row: Row) -> Script:
    """The first connection answers as the row says."""
    if row.resets:
        return [read_request, reset]
    if row.early:
        return [read_head, send(row.answers), hang]
    answer = [read_request, send(row.answers)]
    return answer if row.ends else [*answer, forever(read_request, send(OK))]


def responses(row: Row, client: Client) -> list[Response]:
    """All that the client gets."""
    method = row.sends.split(b" ")[0].decode("latin-1")
    return [client.read_response(method) for _ in row.statuses]


def is_wanted(response: Response, wanted: int | range) -> bool:
    return response.status in (wanted if isinstance(wanted, range) else [wanted])


def head_lines(response: Response) -> list[str]:
    """Start line and fields as rows write them."""
    start_line = f"HTTP/1.{response.minor_version} {response.status}"
    return [start_line, *(f"{name}: {value}" for name, value in response.fields)]


def missing(wanted: Iterable[str], found: Iterable[str]) -> list[str]:
    """What is wanted and not found; names in any case, ``Name: *`` with any value."""
    lines = {lowered(line) for line in found}
    names = {line.partition(": ")[0] for line in lines}
    return [
        line
        for line in map(lowered, wanted)
        if line not in lines and not (line.endswith(": *") and line[:-3] in names)
    ]


def lowered(line: str) -> str:
    """A field with its name in lower case; a start line as it is."""
    name, colon, value = line.partition(": ")
    return name.lower() + colon + value if colon else line


def check_client(row: Row, client: Client) -> None:
    if row.half_closes:
        client.half_close()
    received = responses(row, client)
    statuses = zip(received, row.statuses, strict=True)
    assert [pair for pair in statuses if not is_wanted(*pair)] == []
    for response in received:
        names = {name for name, _ in [*response.fields, *response.trailers]}
        assert not names & {name.lower() for name in row.client_lacks}
    if received:
        assert missing(row.client_gets, head_lines(received[-1])) == []
    body = client.read_until_close() if row.tunnels else b"".join(r.body for r in received[-1:])
    assert row.client_body in (None, body)
    if row.closes and not row.tunnels:
        assert received[-1].values("Connection") == ["close"]
    if row.closes or row.half_closes:
        assert client.is_closed()


def check_cut(client: Client) -> None:
    try:
        assert client.read_response().status == 502
    except BadResponseError:
        client.read_until_close()


def check_server(row: Row, requests: list[bytes]) -> None:
    assert len(requests) == row.forwarded
    names = [name.lower().encode() for name in row.server_lacks]
    for request in requests:
        assert [name for name in names if b"\r\n" + name + b":" in request.lower()] == []
    if requests:
        head, _, body = requests[-1].partition(b"\r\n\r\n")
        assert missing(row.server_gets, head.decode("latin-1").split("\r\n")) == []
        assert row.server_body in (None, body)


def label(row: Row) -> str:
    return f"{row.section} {row.rule}"


@pytest.mark.parametrize("row", ROWS, ids=label)
def test_row(row: Row, ports: dict[str, int], server: Upstream) -> None:
    server.script(script(row), WELL_BEHAVED)
    with Client(ports[row.listener]) as client, Client(ports["plain"]) as other:
        client.send(row.sends)
        if row.cut:
            check_cut(client)
        else:
            check_client(row, client)
        check_server(row, list(server.requests))
        assert (client if row.stays else other).request(GET).body == b"ok"
    assert len(server.requests) == row.forwarded + 1
    assert row.server_connections in (None, server.connection_count)


def test_rows_are_many_and_none_is_twice() -> None:
    assert len({label(row) for row in ROWS}) == len(ROWS) >= 110
