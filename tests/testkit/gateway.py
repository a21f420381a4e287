"""A gateway that tests share: each puts its own APIs into it (testkit/site.py says why).

The names of listener, pool and APIs are new each time, so counts, limits and lines of the access
log are a test's own. ``ECHO`` is an upstream that answers with the request it got.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testkit.client import Client, Response
from testkit.ports import free_port
from testkit.trunkline import Trunkline, lb_config
from testkit.upstream import Connection, Script, forever, read_request, response
from testkit.waiting import wait_until

_numbers = itertools.count(1)
# A worker hands lines over when they are a second old or fill 32 KB (docs/concepts/access-log.md).
_LONG_PATH = "/" + "x" * 7_000
_LONG_LINES = 5


async def _send_it_back(connection: Connection) -> None:
    connection.writer.write(response(connection.requests[-1]))


ECHO: Script = [forever(read_request, _send_it_back)]


@dataclass(frozen=True)
class Seen:
    """A request as the upstream got it.

    Attributes:
        method: As sent.
        target: Path and query.
        fields: Name in lower case and value, in order.
    """

    method: str
    target: str
    fields: list[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for found, value in self.fields if found == name.lower()]


def seen(answer: Response) -> Seen:
    """What an ``ECHO`` got.

    Raises:
        AssertionError: If the gateway answered itself.
    """
    assert answer.status == 200, (answer.status, answer.body)
    head = answer.body.split(b"\r\n\r\n")[0].decode()
    request_line, *lines = head.split("\r\n")
    method, target, _ = request_line.split(" ")
    pairs = (line.split(": ", 1) for line in lines)
    return Seen(method, target, [(name.lower(), value) for name, value in pairs])


class Gateway:
    """A running trunkline with one gateway listener that each ``serve`` replaces.

    Args:
        trunkline: Its configuration is replaced.
        upstream_port: Of the server that APIs have by default.
    """

    def __init__(self, trunkline: Trunkline, upstream_port: int) -> None:
        self.trunkline = trunkline
        self._upstream_port = upstream_port
        self._filler_port = free_port()
        self._site = ""
        self.port = 0

    def serve(
        self,
        apis: Mapping[str, str],
        *,
        servers: Sequence[int] = (),
        gateway: str = "",
        listener: str = "",
        pool: str = "",
    ) -> None:
        """Take up exactly these APIs, under names that were never used.

        Args:
            apis: Name → TOML of the API; keys, or dotted keys.
            servers: Ports on 127.0.0.1; default: the shared upstream.
            gateway: More TOML for ``[gateway]`` and its own tables, e.g. consumers.
            listener: More TOML for the listener.
            pool: More TOML for the pool.

        Raises:
            AssertionError: If the program refuses them.
        """
        self._site, self.port = f"site{next(_numbers)}", free_port()
        self.change(apis, servers=servers, gateway=gateway, listener=listener, pool=pool)

    def change(
        self,
        apis: Mapping[str, str],
        *,
        servers: Sequence[int] = (),
        gateway: str = "",
        listener: str = "",
        pool: str = "",
    ) -> None:
        """The same under the names of the last ``serve``."""
        addresses = json.dumps([f"127.0.0.1:{port}" for port in servers or [self._upstream_port]])
        tables = [
            lb_config(self._filler_port, [self._upstream_port]),
            f"[gateway]\n{gateway}",
            f'[gateway.http.{self._site}]\nlisten = "127.0.0.1:{self.port}"\n{listener}',
            f"[gateway.pools.{self._site}]\nservers = {addresses}\n{pool}",
            *(
                f'[gateway.apis.{self._site}-{name}]\npool = "{self._site}"\n{keys}'
                for name, keys in apis.items()
            ),
        ]
        self.trunkline.write_config("\n".join(tables) + "\n")
        status, answer = self.trunkline.reload()
        assert status == 200, answer

    def client(self) -> Client:
        """A new connection."""
        return Client(self.port)

    def ask(self, target: str = "/", *lines: str, method: str = "GET", body: str = "") -> Response:
        """One request on a connection of its own; ``Host`` is a.example unless a line says it."""
        names_host = any(line.lower().startswith("host:") for line in lines)
        host = () if names_host else ("Host: a.example",)
        length = (f"Content-Length: {len(body)}",) if body else ()
        head = "\r\n".join([f"{method} {target} HTTP/1.1", *host, *lines, *length])
        with self.client() as client:
            return client.request(f"{head}\r\n\r\n{body}".encode(), method)

    def api(self, name: str) -> str:
        """The name of an API's route in log, metrics and status."""
        return f"gateway.{self._site}-{name}"

    @property
    def listener(self) -> str:
        """The listener's name in log, metrics and status."""
        return f"gateway.http.{self._site}"

    @property
    def pool(self) -> str:
        """The pool's name in log, metrics and status."""
        return f"gateway.{self._site}"

    def failures(self, **reason: str) -> float:
        """How many exchanges were refused or failed, for ``reason=…`` or for any."""
        name = "trunkline_failures_total"
        return self.trunkline.metric(name, listener=self.listener, **reason)

    def log(self, at_least: int = 1) -> list[dict[str, Any]]:
        """The lines of the access log, once there are so many.

        Long lines of another listener push them out: a second of waiting for each test is too much.

        Raises:
            TimeoutError: If they did not come.
        """
        for _ in range(_LONG_LINES):
            with Client(self._filler_port) as filler:
                filler.request(f"GET {_LONG_PATH} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(
            lambda: len(self._lines()) >= at_least, timeout_s=5, what=f"{at_least} lines of log"
        )
        return self._lines()

    def _lines(self) -> list[dict[str, Any]]:
        """The complete lines: the last one of the file may still be on its way."""
        *complete, _ = (self.trunkline.directory / "access.log").read_text().split("\n")
        mark = f'"listener":"{self.listener}"'
        return [json.loads(line) for line in complete if mark in line]
