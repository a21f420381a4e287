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
from testkit.peers import write_haproxy_config


class Haproxy(Subject):
    """A frontend and a backend in HTTP mode."""

    name: ClassVar[str] = "haproxy"

    def prepare(self) -> list[str]:
        entries = "".join(f"{path} app\n" for path in self.setup.route_paths())
        (self.setup.directory / "routes.map").write_text(entries)
        return write_haproxy_config(self.setup.directory, self.name, self._proxies())

    def reload(self) -> None:
        self.process.send(signal.SIGUSR2)

    @classmethod
    def version(cls) -> str:
        return first_output_line(["haproxy", "-v"])

    def _proxies(self) -> str:
        return f"""
    http-reuse always
    option splice-response
    timeout tunnel 1h
frontend front
    bind 127.0.0.1:{self.setup.port} backlog 65535 {self._protocol()}
    {self._rule()}
backend app
    server app1 127.0.0.1:{self.setup.backend_port} {"proto h2" if self.setup.grpc else ""}
"""

    def _protocol(self) -> str:
        certificate = self.setup.certificate
        if certificate is None:
            return "proto h2" if self.setup.http2 else ""
        both = self.setup.directory / "certificate.pem"
        both.write_bytes(certificate.certificate.read_bytes() + certificate.key.read_bytes())
        alpn = "h2,http/1.1" if self.setup.http2 else "http/1.1"
        return f"ssl crt {both} alpn {alpn} ssl-min-ver TLSv1.3"

    def _rule(self) -> str:
        if not self.setup.route_count:
            return "default_backend app"
        return f"use_backend %[path,map_str({self.setup.directory}/routes.map)]"
