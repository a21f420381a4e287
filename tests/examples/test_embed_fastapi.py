"""The embedding example behaves as its first lines say."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testkit.ports import free_port, is_listening
from testkit.process import Process

EXAMPLE = Path(__file__).parents[2] / "examples" / "embed_fastapi.py"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    port = free_port()
    command = [sys.executable, str(EXAMPLE), f"127.0.0.1:{port}"]
    with (
        Process(command, directory=tmp_path, name="example") as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        process.wait_ready(lambda: is_listening(port))
        yield client


def test_the_sixth_request_at_once_is_refused(client: httpx.Client) -> None:
    answers = [client.get("/shard/alice") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[-1].headers["Retry-After"] == "1"


def test_a_user_stays_on_a_shard(client: httpx.Client) -> None:
    shards = {client.get("/shard/bob").json()["shard"] for _ in range(3)}
    assert len(shards) == 1
    assert shards < {"shard-a", "shard-b", "shard-c"}


def test_a_failing_dependency_is_left_alone(client: httpx.Client) -> None:
    assert [client.get("/advice").status_code for _ in range(4)] == [502, 502, 502, 503]
