"""Real programs on free loopback ports: nginx, HAProxy, Redis, each in the foreground.

Each takes a directory of its own for its files and is a ``Process`` with the port it listens on;
the ``with`` block (or ``stop()``) ends it.
"""

from pathlib import Path

from testkit.ports import free_port, is_listening
from testkit.process import Process

_NGINX_FRAME = """
daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {directory}/nginx.pid;
events {{ worker_connections 12000; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {http}
}}
"""

_HAPROXY_FRAME = """
global
    nbthread 1
    maxconn 12000
    # A limit of descriptors below what maxconn asks for is not worth refusing to start.
    no strict-limits
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
{rest}
"""


def write_nginx_config(directory: Path, name: str, http: str) -> list[str]:
    """Write ``DIRECTORY/NAME.conf`` around the contents of ``http {}``; returns the command."""
    path = directory / f"{name}.conf"
    path.write_text(_NGINX_FRAME.format(directory=directory, http=http))
    return ["nginx", "-p", str(directory), "-e", "stderr", "-c", str(path)]


def write_haproxy_config(directory: Path, name: str, rest: str) -> list[str]:
    """Write ``DIRECTORY/NAME.conf`` with frontends and backends; returns the command."""
    path = directory / f"{name}.conf"
    path.write_text(_HAPROXY_FRAME.format(rest=rest))
    return ["haproxy", "-W", "-db", "-f", str(path)]


def start_nginx(directory: Path, server: str) -> tuple[Process, int]:
    """Nginx with one server block on a free port.

    Args:
        directory: Existing and its own.
        server: Contents of ``server {}`` without ``listen``.

    Returns:
        The running program and its port.
    """
    port = free_port()
    command = write_nginx_config(
        directory, "nginx", f"server {{ listen 127.0.0.1:{port};\n{server}\n}}"
    )
    return _start(command, directory, port)


def start_haproxy(directory: Path, backend_port: int) -> tuple[Process, int]:
    """HAProxy before one server. Returns the running program and its port."""
    port = free_port()
    rest = f"""
listen front
    bind 127.0.0.1:{port}
    server app 127.0.0.1:{backend_port}
"""
    return _start(write_haproxy_config(directory, "haproxy", rest), directory, port)


def start_redis(directory: Path) -> tuple[Process, int]:
    """Redis without persistence. Returns the running program and its port."""
    port = free_port()
    options = f"--bind 127.0.0.1 --port {port} --save --appendonly no"
    return _start(["redis-server", *options.split(" ")], directory, port)


def _start(command: list[str], directory: Path, port: int) -> tuple[Process, int]:
    process = Process(command, directory=directory, name=command[0])
    return process.wait_ready(lambda: is_listening(port)), port
