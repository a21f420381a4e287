"""A gate in front of a server's answers, and clients that ask while it is shut."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from testkit.client import Response
from testkit.site import Site
from testkit.upstream import OK, Connection, Script, forever, read_request, send
from testkit.waiting import wait_until


class Gate:
    """A server behind it keeps its requests until it opens, and counts them.

    Args:
        answer: What it answers then.
        path: Only requests whose target begins so are kept.
    """

    def __init__(self, answer: bytes = OK, path: str = "/") -> None:
        self._path = path.encode()
        self.inside = 0
        self.most_inside = 0
        self.script: Script = [forever(read_request, self._pass, send(answer))]
        self._opened = threading.Event()

    def open(self) -> None:
        """Let all through from now on."""
        self._opened.set()

    def shut(self) -> None:
        """Keep all from now on."""
        self._opened.clear()

    async def _pass(self, connection: Connection) -> None:
        # Nothing has come in between: the last request is this one's.
        if not connection.requests[-1].split(b" ", 2)[1].startswith(self._path):
            return
        self.inside += 1
        self.most_inside = max(self.inside, self.most_inside)
        if not self._opened.is_set():
            await asyncio.to_thread(self._opened.wait, 20)
        self.inside -= 1


def occupy(
    threads: ThreadPoolExecutor, site: Site, gate: Gate, path: str = "/"
) -> Future[Response]:
    """A request in a thread of its own that is now with the server behind the gate."""
    before = gate.inside
    asked = threads.submit(site.get, path)
    wait_until(lambda: gate.inside > before, timeout_s=5, what="the request to arrive")
    return asked


def ask_and_wait(
    threads: ThreadPoolExecutor, site: Site, waiting: Callable[[], int], path: str = "/"
) -> Future[Response]:
    """A request in a thread of its own that is now counted by ``waiting``."""
    before = waiting()
    asked = threads.submit(site.get, path)
    wait_until(lambda: waiting() > before, timeout_s=5, what="a request to wait")
    return asked
