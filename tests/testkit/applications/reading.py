"""Writes what a server has understood of a request, as one line of JSON in a file.

All applications of this folder write it in the same form, so that the readings of servers with
nothing in common can be compared word by word (``testkit/readings.py``).
"""

import json
import os
from collections.abc import Iterable

from testkit.readings import joined


def write(
    path: str,
    *,
    method: str,
    target: str,
    fields: Iterable[tuple[str, str]],
    body: bytes,
    connection: object,
) -> None:
    """Append a reading; of several processes each line stays whole (O_APPEND, one write).

    Args:
        path: Of the file.
        method: As the application was told.
        target: Path and query, not decoded.
        fields: Names in any case, with ``-`` or with the ``_`` of CGI; values as Latin-1.
        body: All of it.
        connection: Tells the server's connections apart, e.g. the peer's port.
    """
    line = {
        "method": method,
        "target": target.removesuffix("?"),
        "fields": joined(fields),
        "body": body.decode("latin-1"),
        "connection": str(connection),
    }
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


def of_cgi(variables: Iterable[tuple[str, object]]) -> list[tuple[str, str]]:
    """The header fields among CGI's variables, but for Content-Length."""
    return [
        (name.removeprefix("HTTP_"), str(value))
        for name, value in variables
        # The one that CGI gives without HTTP_ (RFC 3875 §4.1.3); empty is absent.
        if name.startswith("HTTP_") or (name == "CONTENT_TYPE" and value)
    ]
