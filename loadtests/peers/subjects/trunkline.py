"""trunkline with one worker thread; its control plane runs in the same process and is counted.

The gateway chain is an API key, a token bucket that never runs dry, a circuit breaker and the
metrics that are always on.
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

    def command(self) -> list[str]:
        return [sys.executable, "-m", "trunkline", "up", "--config", str(self.config_path)]

    def reload(self) -> None:
        self.process.send(signal.SIGHUP)

    @classmethod
    def version(cls) -> str:
        return first_output_line([sys.executable, "-m", "trunkline", "version"])

    def config(self) -> str:
        return _RUNTIME + self._balancer()

    def _balancer(self) -> str:
        setup = self.setup
        routes = "".join(
            f'[[lb.http.front.routes]]\npath = {{ exact = "{path}" }}\npool = "app"\n'
            for path in setup.route_paths()
        )
        default = "" if routes else 'pool = "app"\n'
        return (
            f'[lb.http.front]\nlisten = ["127.0.0.1:{setup.port}"]\n{default}{routes}'
            f'[lb.pools.app]\nalgorithm = "round_robin"\n'
            f'servers = ["127.0.0.1:{setup.backend_port}"]\n'
        )


_RUNTIME = """
[runtime]
threads = 1
"""
