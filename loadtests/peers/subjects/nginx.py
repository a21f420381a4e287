"""nginx as its users set it up for speed: one worker, keep-alive on both sides, no access log.

Tried on nginx 1.22: larger ``proxy_buffers`` without temporary files give 1 MB bodies 14 % more
bytes per CPU-second and change nothing for small ones, so they are set; ``proxy_buffering off``
costs 1 MB bodies two thirds and 4 KB bodies a tenth, so it is not. Sessions are resumed by tickets,
as nginx does without being told; a session cache would only add its lock.
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
        {self._listen()}
        {self._locations()}
    }}
"""

    def _listen(self) -> str:
        certificate = self.setup.certificate
        words = [f"listen 127.0.0.1:{self.setup.port} backlog=65535"]
        words += ["ssl"] if certificate else []
        words += ["http2"] if self.setup.http2 else []
        listen = f"{' '.join(words)};"
        if certificate is None:
            return listen
        files = f"ssl_certificate {certificate.certificate}; ssl_certificate_key {certificate.key};"
        return f"{listen} {files} ssl_protocols TLSv1.3;"

    def _locations(self) -> str:
        paths = [f"= {path}" for path in self.setup.route_paths()] or ["/"]
        return "\n        ".join(f"location {path} {{ {self._forward()} }}" for path in paths)

    def _forward(self) -> str:
        if self.setup.grpc:
            return "grpc_pass grpc://app;"
        if self.setup.websocket:
            headers = {"Upgrade": "$http_upgrade", "Connection": "upgrade"}
            told = " ".join(f"proxy_set_header {name} {headers[name]};" for name in headers)
            return f"proxy_pass http://app; proxy_read_timeout 1h; {told}"
        return "proxy_pass http://app;"
