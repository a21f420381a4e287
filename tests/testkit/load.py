"""Requests without a pause, from several clients at once, each answer checked."""

import threading
from collections.abc import Callable
from typing import Self

from testkit.client import BadResponseError, Client

_KEPT = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
_SINGLE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Load:
    """Runs within a ``with`` block.

    Args:
        port: On 127.0.0.1.
        kept: Clients that keep their connection until they are told that it ends.
        single: Clients that open a connection for each request.
    """

    def __init__(self, port: int, *, kept: int, single: int) -> None:
        self.failures: list[str] = []
        self.answered = 0
        self._port = port
        self._over = threading.Event()
        self._counting = threading.Lock()
        targets = [*[self._keep] * kept, *[self._open_each] * single]
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in targets]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self, behave: Callable[[], None]) -> None:
        while not self._over.is_set():
            try:
                behave()
            except (OSError, BadResponseError) as error:
                self.failures.append(repr(error))

    def _keep(self) -> None:
        with Client(self._port, timeout_s=20) as client:
            while not self._over.is_set() and self._ask(client, _KEPT):
                pass

    def _open_each(self) -> None:
        with Client(self._port, timeout_s=20) as client:
            self._ask(client, _SINGLE)

    def _ask(self, client: Client, request: bytes) -> bool:
        """Whether the connection stays open."""
        response = client.request(request)
        if response.status != 200:
            self.failures.append(f"{response}")
        with self._counting:
            self.answered += 1
        return response.values("connection") != ["close"]
