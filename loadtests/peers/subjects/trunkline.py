"""trunkline with one worker thread; its control plane runs in the same process and is counted.

It forwards without X-Forwarded headers, as the peers are set up: equal work. The gateway chain is
an API key, a token bucket that never runs dry, a circuit breaker, and the metrics that are always
on.
"""

import signal
import sys
from typing import ClassVar

from loadtests.peers.subjects.base import Subject, first_output_line

API_KEY_HEADER = ("X-API-Key", "benchmark-key-0123456789abcdef")


class Trunkline(Subject):
    """``trunkline up`` with the load balancer, or the gateway for its chain."""

    name: ClassVar[str] = "trunkline"
    has_gateway_chain: ClassVar[bool] = True
    # Whose trunkline it is; another build brings its own.
    python: ClassVar[str] = sys.executable

    def prepare(self) -> list[str]:
        path = self.setup.directory / "trunkline.toml"
        path.write_text(self._config())
        return [self.python, "-m", "trunkline", "up", "--config", str(path)]

    def environment(self) -> dict[str, str]:
        return {"TRUNKLINE_STATE_DIR": str(self.setup.directory / "state")}

    def reload(self) -> None:
        self.process.send(signal.SIGHUP)

    @classmethod
    def version(cls) -> str:
        return first_output_line([cls.python, "-m", "trunkline", "version"])

    def _config(self) -> str:
        role = "gateway" if self.setup.gateway_chain else "lb"
        return f"""
[runtime]
threads = 1
[admin]
listen = "127.0.0.1:0"
[{role}.pools.app]
algorithm = "round_robin"
servers = ["127.0.0.1:{self.setup.backend_port}"]
keep_alive.idle = 1024
{'protocol = "h2"' if self.setup.grpc else ""}
[{role}.http.front]
listen = ["127.0.0.1:{self.setup.port}"]
forwarding.style = "off"
{self._tls()}
{self._chain() if self.setup.gateway_chain else self._routes()}
"""

    def _tls(self) -> str:
        certificate = self.setup.certificate
        if certificate is None:
            return ""
        return f'tls = {{ certificate = "{certificate.certificate}", key = "{certificate.key}" }}'

    def _routes(self) -> str:
        routes = [
            f'[[lb.http.front.routes]]\npath = "{path}"\npool = "app"'
            for path in self.setup.route_paths()
        ]
        return "\n".join(routes) or 'pool = "app"'

    def _chain(self) -> str:
        return f"""
[gateway.consumers.benchmark]
keys = ["{API_KEY_HEADER[1]}"]
[gateway.apis.everything]
prefix = "/"
pool = "app"
[[gateway.apis.everything.filters]]
type = "api_key"
header = "{API_KEY_HEADER[0]}"
[[gateway.apis.everything.filters]]
type = "rate_limit"
key = "consumer"
limit = 1000000000
period = "1s"
[[gateway.apis.everything.filters]]
type = "circuit_breaker"
failure_ratio = 0.5
"""
