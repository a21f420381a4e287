"""The real peers start, work, and are gone afterwards."""

import socket
from pathlib import Path

from testkit.client import Client
from testkit.peers import start_haproxy, start_nginx, start_redis
from testkit.ports import is_listening
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


def test_haproxy_before_nginx(tmp_path: Path) -> None:
    (tmp_path / "nginx").mkdir()
    nginx, nginx_port = start_nginx(tmp_path / "nginx", 'location / { return 200 "hello"; }')
    haproxy, haproxy_port = start_haproxy(tmp_path, nginx_port)
    with nginx, haproxy, Client(haproxy_port) as client:
        assert client.request(GET).body == b"hello"
    wait_until(lambda: not is_listening(nginx_port), timeout_s=5, what="the end of nginx")
    wait_until(lambda: not is_listening(haproxy_port), timeout_s=5, what="the end of HAProxy")


def test_redis(tmp_path: Path) -> None:
    redis, port = start_redis(tmp_path)
    with redis, socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(64) == b"+PONG\r\n"
    assert not is_listening(port)
