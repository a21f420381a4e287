"""One process takes the place of another while questions come over both transports."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import dns.message
import dns.query
import pytest

from testkit.ports import free_port
from testkit.service import Service
from testkit.waiting import wait_until

ZONE = "$TTL 60\n@ SOA ns a 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"
UPGRADES = 5


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def service(tmp_path: Path, port: int) -> Iterator[Service]:
    (tmp_path / "zone").write_text(ZONE)
    config = f'[dns]\nlisten = "127.0.0.1:{port}"\n[dns.zones."z.test"]\nfile = "zone"\n'
    with Service(tmp_path, config, threads=2, grace="10s") as service:
        yield service


class Questions:
    """Asked without a pause, each on a socket of its own, until the ``with`` block ends."""

    def __init__(self, port: int, *, tcp: bool) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._port = port
        self._send = dns.query.tcp if tcp else dns.query.udp
        self._over = Event()
        self._thread = Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.is_set():
            question = dns.message.make_query("ns.z.test", "A")
            try:
                answer = self._send(question, "127.0.0.1", port=self._port, timeout=5)
            except (OSError, dns.exception.DNSException) as error:
                self.failures.append(repr(error))
            else:
                self.answered += bool(answer.answer)

    def __enter__(self) -> "Questions":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def test_no_question_is_lost(service: Service, port: int) -> None:
    with Questions(port, tcp=False) as datagrams, Questions(port, tcp=True) as streams:
        for _ in range(UPGRADES):
            service.upgrade()
            enough = datagrams.answered + 50, streams.answered + 50
            wait_until(
                lambda: (datagrams.answered, streams.answered) > enough,  # noqa: B023
                timeout_s=20,
                what="more answers",
            )
    assert (datagrams.failures, streams.failures) == ([], [])


def test_an_address_that_is_taken(service: Service, port: int, tmp_path: Path) -> None:
    """Another process of the same user does not join by itself."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "zone").write_text(ZONE)
    config = f'[dns]\nlisten = "127.0.0.1:{port}"\n[dns.zones."z.test"]\nfile = "zone"\n'
    with pytest.raises(RuntimeError, match="cannot listen on"), Service(other, config):
        pass
