"""HAProxy as its users set it up for speed: one thread, ``http-reuse always``, no log.

Master-worker mode, so that a reload is possible; the master does nothing meanwhile. The routes are
a map file, which HAProxy keeps as a tree.

Tried on HAProxy 2.6: ``splice-response`` moves 2 to 4 times the 1 MB bodies per CPU-second and
changes nothing for small ones, so it is set, though HAProxy's default is to copy; ``tune.bufsize``
of 64 KB helps copying only.
"""

import signal
from typing import ClassVar

from loadtests.peers.subjects.base import Subject, first_output_line


class Haproxy(Subject):
    """A frontend and a backend in HTTP mode."""

    name: ClassVar[str] = "haproxy"

    def command(self) -> list[str]:
        return ["haproxy", "-W", "-db", "-f", str(self.config_path)]

    def reload(self) -> None:
        self.process.send(signal.SIGUSR2)

    @classmethod
    def version(cls) -> str:
        return first_output_line(["haproxy", "-v"])

    def config(self) -> str:
        return f"""
global
    nbthread 1
    maxconn 12000
    no strict-limits
    log /dev/null local0 emerg
defaults
    mode http
    http-reuse always
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
    option splice-response
frontend front
    bind 127.0.0.1:{self.setup.port} backlog 65535
    {self._rules()}
backend app
    server app1 127.0.0.1:{self.setup.backend_port}
"""

    def write_config(self) -> None:
        entries = "".join(f"{path} app\n" for path in self.setup.route_paths())
        (self.setup.directory / "routes.map").write_text(entries)
        super().write_config()

    def _rules(self) -> str:
        if not self.setup.route_count:
            return "default_backend app"
        return f"use_backend %[path,map_str({self.setup.directory}/routes.map)]"
