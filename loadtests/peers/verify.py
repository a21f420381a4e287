"""Are the answers right? Asked before and after every measurement, over real connections.

A fast wrong answer is worth nothing: status, length and every byte of the body are compared with
what the backend is known to answer, several times on one keep-alive connection.
"""

import http.client

from loadtests.peers.backend import body_of
from loadtests.peers.subjects import Subject

_REPEATS = 3


class WrongAnswerError(Exception):
    """A proxy changed, lost or invented something."""


def verify(subject: Subject, path: str, body_path: str, headers: dict[str, str]) -> None:
    """Fetch ``path`` and compare with the backend's body of ``body_path``.

    Raises:
        WrongAnswerError: If status or body differ.
        OSError, http.client.HTTPException: If there was no proper answer.
    """
    connection = http.client.HTTPConnection("127.0.0.1", subject.setup.port, timeout=10)
    try:
        for _ in range(_REPEATS):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            _compare(subject.name, path, response.status, response.read(), body_of(body_path))
    finally:
        connection.close()


def _compare(name: str, path: str, status: int, body: bytes, expected: bytes) -> None:
    if status != 200 or body != expected:
        raise WrongAnswerError(
            f"{name} answered {path} with {status} and {len(body)} bytes ({body[:80]!r}), "
            f"expected 200 and {len(expected)} bytes"
        )
