"""Every row of the request table through the running proxy, fed whole and one byte at a time.

Each request is answered as the row says, and the connection ends or stays as it says. After each
row one more request is sent, on the same connection if it is still open: that it is answered and
is the only one more that the upstream has seen shows that nothing of a refused request was passed
on.
"""

from collections.abc import Callable, Iterator

import pytest

from testkit.client import Client, Response
from testkit.ports import free_port
from testkit.trunkline import Trunkline, lb_config
from testkit.upstream import Upstream
from vectors.http1_requests import ROWS
from vectors.http1_row import GET, Row

Send = Callable[[Client, bytes], None]
SENDS = {"whole": Client.send, "bytewise": Client.send_bytewise}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[int]:
    port = free_port()
    config = lb_config(port, [upstream.port], listener="reason_header = true")
    with Trunkline(tmp_path_factory.mktemp("proxy"), config):
        yield port


def answers(client: Client, row: Row) -> list[Response]:
    """One response for each status of the row; only a first request may be HEAD."""
    first_method = row.raw.split(b" ")[0].decode("latin-1")
    methods = [first_method] + ["GET"] * (len(row.statuses) - 1)
    return [client.read_response(method) for method in methods]


def reason(response: Response) -> str | None:
    return next(iter(response.values("X-Trunkline-Reason")), None)


def is_served(client: Client) -> bool:
    return client.request(GET).status == 200


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row: Row, send: Send, port: int, upstream: Upstream) -> None:
    seen_before = len(upstream.requests)
    with Client(port) as client, Client(port) as other:
        send(client, row.raw)
        responses = answers(client, row)
        assert tuple(response.status for response in responses) == row.statuses
        assert [reason(response) for response in responses[:-1]] == [None] * (len(responses) - 1)
        assert reason(responses[-1]) == row.reason
        assert row.closes == (responses[-1].values("Connection") == ["close"])
        if row.closes:
            assert client.is_closed()
        assert is_served(other if row.closes else client)
    assert len(upstream.requests) - seen_before == row.statuses.count(200) + 1
