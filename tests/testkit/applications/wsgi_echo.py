"""The application of gunicorn: writes a reading to the file READINGS, answers `ok`."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from testkit.applications import reading


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    # A body that broke off looks whole to a WSGI application that does not count.
    if len(body) >= int(environ.get("CONTENT_LENGTH") or 0):
        reading.write(
            os.environ["READINGS"],
            method=environ["REQUEST_METHOD"],
            target=environ["RAW_URI"],
            fields=reading.of_cgi(environ.items()),
            body=body,
            connection=environ["REMOTE_PORT"],
        )
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
