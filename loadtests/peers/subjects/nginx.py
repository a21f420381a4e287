"""nginx as its users set it up for speed: one worker, keep-alive on both sides, no access log.

Tried on nginx 1.22: larger ``proxy_buffers`` without temporary files give 1 MB bodies 14 % more
bytes per CPU-second and change nothing for small ones, so they are set; ``proxy_buffering off``
costs 1 MB bodies two thirds and 4 KB bodies a tenth, so it is not.
"""

import signal
from typing import ClassVar

from loadtests.peers.subjects.base import Subject, first_output_line
from testkit.peers import write_nginx_config

_IDLE_UPSTREAM_CONNECTIONS = 1024


class Nginx(Subject):
    """``proxy_pass`` to an ``upstream`` with keep-alive."""

    name: ClassVar[str] = "nginx"

    def prepare(self) -> list[str]:
        return write_nginx_config(self.setup.directory, self.name, self._http())

    def reload(self) -> None:
        self.process.send(signal.SIGHUP)

    @classmethod
    def version(cls) -> str:
        return first_output_line(["nginx", "-v"])

    def _http(self) -> str:
        return f"""
    tcp_nodelay on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffer_size 16k;
    proxy_buffers 16 64k;
    proxy_busy_buffers_size 128k;
    proxy_max_temp_file_size 0;
    upstream app {{
        server 127.0.0.1:{self.setup.backend_port};
        keepalive {_IDLE_UPSTREAM_CONNECTIONS};
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}
    server {{
        listen 127.0.0.1:{self.setup.port} backlog=65535;
        {self._locations()}
    }}
"""

    def _locations(self) -> str:
        paths = [f"= {path}" for path in self.setup.route_paths()] or ["/"]
        return "\n        ".join(f"location {path} {{ proxy_pass http://app; }}" for path in paths)
