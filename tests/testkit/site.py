"""A site: one listener, one route and one pool of a test's own, in a program that tests share.

A program takes a second to start and a hundredth to take up a new configuration, so tests that need
no program of their own put their site into the shared one by a reload. The name of a site is new
each time: its counters begin at zero and its lines in the access log are its own.
"""

import itertools
import json
import ssl
from collections.abc import Sequence
from typing import Any

from testkit.client import Client, Response
from testkit.ports import free_port
from testkit.trunkline import Trunkline
from testkit.waiting import wait_until

_numbers = itertools.count(1)
# A worker hands lines over when they are a second old or fill 32 KB (docs/concepts/access-log.md).
_LONG_PATH = "/" + "x" * 7_000
_LONG_LINES = 5


def server(port: int, **settings: str | int | bool) -> str:
    """A server of a pool as TOML.

    Args:
        port: On 127.0.0.1.
        settings: More keys, e.g. ``weight=5``.
    """
    more = "".join(f", {key} = {json.dumps(value)}" for key, value in settings.items())
    return f'{{ address = "127.0.0.1:{port}"{more} }}'


class Site:
    """What one site is configured to do, and what the program says of it.

    Args:
        servers: Ports on 127.0.0.1, or TOML made by ``server``.
        listener: More TOML for the listener; keys, or dotted keys.
        route: The same for the route, which takes every request.
        pool: The same for the pool.
    """

    def __init__(
        self, servers: Sequence[int | str], *, listener: str = "", route: str = "", pool: str = ""
    ) -> None:
        self.name = f"site{next(_numbers)}"
        self.port = free_port()
        self.change(servers, listener=listener, route=route, pool=pool)

    def change(
        self, servers: Sequence[int | str], *, listener: str = "", route: str = "", pool: str = ""
    ) -> None:
        """Other settings under the same name; they count from the next ``serve`` on."""
        tables = ", ".join(item if isinstance(item, str) else server(item) for item in servers)
        self.config = (
            f'[lb.http.{self.name}]\nlisten = ["127.0.0.1:{self.port}"]\n{listener}\n'
            f'[[lb.http.{self.name}.routes]]\nname = "all"\npool = "{self.name}"\n{route}\n'
            f"[lb.pools.{self.name}]\nservers = [{tables}]\n{pool}\n"
        )

    def client(self, timeout_s: float = 5, receive_buffer_bytes: int | None = None) -> Client:
        """A new connection to the site."""
        return Client(self.port, timeout_s=timeout_s, receive_buffer_bytes=receive_buffer_bytes)

    def secure(
        self,
        tls: ssl.SSLContext,
        name: str | None = "site.example",
        session: ssl.SSLSession | None = None,
    ) -> Client:
        """A new connection with TLS, for this name; ``session`` is resumed."""
        return Client(self.port, tls=tls, server_name=name, session=session)

    def get(self, path: str = "/", *lines: str) -> Response:
        """GET on a connection of its own, with these header lines besides Host."""
        head = "\r\n".join([f"GET {path} HTTP/1.1", "Host: a.example", *lines])
        with self.client() as client:
            return client.request(f"{head}\r\n\r\n".encode())


class Program:
    """A running trunkline that tests share, one after the other.

    Args:
        trunkline: Its configuration is replaced by each ``serve``.
    """

    def __init__(self, trunkline: Trunkline) -> None:
        self.trunkline = trunkline
        self._filler = Site([free_port()])

    def serve(self, *sites: Site) -> None:
        """Take up exactly these sites.

        Raises:
            AssertionError: If the program refuses them.
        """
        status, answer = self._take_up(sites)
        assert status == 200, answer

    def refused(self, *sites: Site) -> list[dict[str, Any]]:
        """The errors for which these sites are not taken up.

        Raises:
            AssertionError: If they are.
        """
        status, answer = self._take_up(sites)
        assert status == 422, answer
        errors: list[dict[str, Any]] = answer["errors"]
        return errors

    def failures(self, site: Site, **reason: str) -> float:
        """How many exchanges of the site failed, for ``reason=…`` or for any."""
        listener = f"lb.http.{site.name}"
        return self.trunkline.metric("trunkline_failures_total", listener=listener, **reason)

    def wait_for_failures(self, site: Site, reason: str, count: int = 1) -> None:
        """Wait until so many exchanges or connections have failed for this reason.

        Clients hear of a failure before it is counted.

        Raises:
            TimeoutError: If there were not so many.
            AssertionError: If there were others, or more.
        """
        wait_until(
            lambda: self.failures(site, reason=reason) >= count,
            timeout_s=5,
            what=f"{count} times {reason}",
        )
        assert self.failures(site) == self.failures(site, reason=reason) == count

    def blamed(self, site: Site, reason: str) -> str:
        """Whose fault the site's last failure for this reason was, as the status tells."""
        listener = f"lb.http.{site.name}"
        told = self.trunkline.status()["recent_errors"]
        sides = [
            each["side"]
            for each in told
            if (each["listener"], each["reason"]) == (listener, reason)
        ]
        assert sides, told
        return str(sides[-1])

    def log(self, site: Site, at_least: int = 1) -> list[dict[str, Any]]:
        """The site's lines of the access log, once there are so many.

        Long lines of another site push them out: a second of waiting for each test is too much.

        Raises:
            TimeoutError: If they did not come.
        """
        for _ in range(_LONG_LINES):
            self._filler.get(_LONG_PATH)

        wait_until(
            lambda: len(self._lines(site)) >= at_least, timeout_s=5, what=f"{at_least} lines of log"
        )
        return [json.loads(line) for line in self._lines(site)]

    def _take_up(self, sites: Sequence[Site]) -> tuple[int, Any]:
        self.trunkline.write_config("".join(site.config for site in (*sites, self._filler)))
        return self.trunkline.reload()

    def _lines(self, site: Site) -> list[str]:
        """The site's complete lines: the last one of the file may still be on its way."""
        *complete, _ = (self.trunkline.directory / "access.log").read_text().split("\n")
        return [line for line in complete if f'"listener":"lb.http.{site.name}"' in line]

    def servers(self, site: Site) -> list[dict[str, Any]]:
        """The servers of the site's pool, as the admin API tells."""
        answer: list[dict[str, Any]] = self._servers("GET", site, "")
        return answer

    def change_server(self, site: Site, port: int, **changes: object) -> dict[str, Any]:
        """Set weight, enabled or draining of a server through the admin API."""
        answer: dict[str, Any] = self._servers("PATCH", site, f"/127.0.0.1:{port}", changes)
        return answer

    def _servers(self, method: str, site: Site, path: str, body: object = None) -> Any:
        path = f"/pools/lb.{site.name}/servers{path}"
        status, answer = self.trunkline.admin(method, path, body)
        assert status == 200, answer
        return answer
