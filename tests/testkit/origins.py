"""Seven web servers with seven parsers of HTTP/1.1, each with an application that writes readings.

nginx, Apache httpd and lighttpd hand the request on by FastCGI; gunicorn, uvicorn, aiohttp and
granian call the application in their own process. All write the same kind of reading
(``testkit/applications/reading.py``) into a file of their own, where tests find also the requests
whose answers never reach a client.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from testkit.peers import start_nginx
from testkit.ports import free_port, is_listening
from testkit.process import Process
from testkit.readings import Reading

TESTS = Path(__file__).parents[1]


class Origin:
    """A running server.

    Args:
        name: Of the server program.
        port: On 127.0.0.1.
        readings: The file that its application writes.
        processes: In the order in which they are to be stopped.
    """

    def __init__(self, name: str, port: int, readings: Path, processes: Sequence[Process]) -> None:
        self.name = name
        self.port = port
        self._readings = readings
        self._processes = processes
        self._seen_bytes = 0

    def take(self) -> list[Reading]:
        """The readings since the last call, in the order of the requests."""
        if not self._readings.exists():
            return []
        with self._readings.open("rb") as file:
            file.seek(self._seen_bytes)
            lines = file.readlines()
        self._seen_bytes += sum(map(len, lines))
        return [Reading(**json.loads(line)) for line in lines]

    def stop(self) -> None:
        """End its processes."""
        for process in self._processes:
            process.stop()


def _python(directory: Path, name: str, port: int, *arguments: str) -> Process:
    """A module of this Python's as a program, ready when it listens."""
    process = Process(
        [sys.executable, "-m", *arguments],
        directory=directory,
        name=name,
        environment={"PYTHONPATH": str(TESTS), "READINGS": str(directory / "readings")},
    )
    return process.wait_ready(lambda: is_listening(port))


# --- those that speak FastCGI. Each is told to take what it would refuse by policy: long heads, odd
# names, a body of a GET ---


NGINX = """
large_client_header_buffers 4 32k;
client_max_body_size 0;
ignore_invalid_headers off;
underscores_in_headers on;
location / {{
    fastcgi_pass 127.0.0.1:{application};
    fastcgi_param REQUEST_METHOD $request_method;
    fastcgi_param REQUEST_URI $request_uri;
    fastcgi_param CONTENT_TYPE $content_type;
    fastcgi_param REMOTE_PORT $remote_port;
}}
"""

APACHE = """
ServerRoot {directory}
ServerName test
PidFile {directory}/apache2.pid
ErrorLog {directory}/error.log
Listen 127.0.0.1:{port}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_fcgi_module /usr/lib/apache2/modules/mod_proxy_fcgi.so
StartServers 1
ServerLimit 1
ThreadsPerChild 25
MaxRequestWorkers 25
MaxKeepAliveRequests 0
KeepAliveTimeout 60
LimitRequestLine 16384
LimitRequestFieldSize 16384
LimitRequestFields 200
AllowEncodedSlashes NoDecode
ProxyPass / fcgi://127.0.0.1:{application}/
"""

LIGHTTPD = """
server.modules = ( "mod_fastcgi" )
server.document-root = "{directory}"
server.bind = "127.0.0.1"
server.port = {port}
server.max-keep-alive-requests = 100000
server.max-keep-alive-idle = 60
server.max-request-field-size = 32768
server.http-parseopts = ( "method-get-body" => "enable" )
fastcgi.server = ( "" => ((
    "host" => "127.0.0.1", "port" => {application}, "check-local" => "disable"
)) )
"""


def _application(directory: Path) -> tuple[Process, int]:
    port = free_port()
    arguments = ["testkit.applications.fastcgi_echo", str(port), str(directory / "readings")]
    return _python(directory, "application", port, *arguments), port


def _nginx(directory: Path) -> Origin:
    application, application_port = _application(directory)
    process, port = start_nginx(directory, NGINX.format(application=application_port))
    return Origin("nginx", port, directory / "readings", [process, application])


def _configured(name: str, configuration: str, *options: str) -> Callable[[Path], Origin]:
    """A server that runs in the foreground from one file of configuration."""

    def start(directory: Path) -> Origin:
        (application, application_port), port = _application(directory), free_port()
        path = directory / f"{name}.conf"
        path.write_text(
            configuration.format(directory=directory, port=port, application=application_port)
        )
        process = Process([name, *options, "-f", str(path)], directory=directory, name=name)
        process.wait_ready(lambda: is_listening(port))
        return Origin(name, port, directory / "readings", [process, application])

    return start


# --- those that call the application ---


def _calling(name: str, command: str) -> Callable[[Path], Origin]:
    """A server of Python's world; ``command`` is what follows ``python -m``."""

    def start(directory: Path) -> Origin:
        port, readings = free_port(), directory / "readings"
        arguments = command.format(port=port, readings=readings).split(" ")
        return Origin(name, port, readings, [_python(directory, name, port, *arguments)])

    return start


GUNICORN = (
    "gunicorn --bind 127.0.0.1:{port} --worker-class gthread --threads 4 --keep-alive 60"
    " --limit-request-line 0 --limit-request-field_size 0 --limit-request-fields 200"
    " --no-control-socket --graceful-timeout 0 testkit.applications.wsgi_echo:application"
)
UVICORN = (
    "uvicorn --port {port} --http h11 --ws none --log-level error --timeout-keep-alive 60"
    " --h11-max-incomplete-event-size 32768 testkit.applications.asgi_echo:application"
)
GRANIAN = (
    "granian --port {port} --interface asgi --no-ws --http 1"
    " testkit.applications.asgi_echo:application"
)

STARTS: Sequence[Callable[[Path], Origin]] = [
    _nginx,
    _configured("apache2", APACHE, "-DFOREGROUND"),
    _configured("lighttpd", LIGHTTPD, "-D"),
    _calling("gunicorn", GUNICORN),
    _calling("uvicorn", UVICORN),
    _calling("aiohttp", "testkit.applications.aiohttp_echo {port} {readings}"),
    _calling("granian", GRANIAN),
]


def start_origins(directory: Path) -> list[Origin]:
    """All of them, each with a folder of its own in ``directory``.

    Raises:
        RuntimeError: If one does not start; those before it are stopped.
    """
    origins: list[Origin] = []
    try:
        for number, start in enumerate(STARTS):
            folder = directory / str(number)
            folder.mkdir()
            origins.append(start(folder))
    except RuntimeError:
        for origin in origins:
            origin.stop()
        raise
    return origins
