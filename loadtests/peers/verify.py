"""Are the answers right? Asked before and after every measurement, over real connections.

A fast wrong answer is worth nothing: status and every byte of the body are compared with what the
backend is known to answer, several times on one connection. WebSocket messages are compared by
their generator, each of them.
"""

import http.client
import subprocess

from loadtests.peers.backend import body_of, grpc_message
from loadtests.peers.cases import Case
from loadtests.peers.generator import Target, header_options
from loadtests.peers.subjects import Subject

_REPEATS = 3
_TIMEOUT_S = 10


class WrongAnswerError(Exception):
    """A proxy changed, lost or invented something."""


def verify(subject: Subject, case: Case, path: str, target: Target) -> None:
    """Fetch ``path`` as the case does and compare with the backend's body.

    Raises:
        WrongAnswerError: If status, body or trailers differ.
        OSError, http.client.HTTPException: If there was no proper answer.
        subprocess.SubprocessError: If an HTTP/2 client ended with an error or not at all.
    """
    if case.http2:
        expected = grpc_message() if case.grpc else body_of(case.body)
        _verify_http2(subject.name, target, expected, case.grpc)
    elif case.kind != "messages":
        _verify_http1(subject, path, target.headers, body_of(case.body))


def _verify_http1(subject: Subject, path: str, headers: dict[str, str], expected: bytes) -> None:
    connection = _connect(subject)
    try:
        for _ in range(_REPEATS):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            told = f"{subject.name} answered {path} with {response.status}"
            _compare(told, response.status == 200, response.read(), expected)
    finally:
        connection.close()


def _connect(subject: Subject) -> http.client.HTTPConnection:
    """The certificate is verified."""
    port, context = subject.setup.port, subject.setup.client_context()
    if context is None:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=_TIMEOUT_S, context=context)


def _verify_http2(name: str, target: Target, expected: bytes, grpc: bool) -> None:
    """Bodies of one run, heads and trailers of another: nghttp tells either alone."""
    heads = _nghttp(target, "--verbose", "--null-out")
    right = heads.count(b":status: 200") == _REPEATS
    right = right and heads.count(b"grpc-status: 0") == (_REPEATS if grpc else 0)
    body = _nghttp(target)
    _compare(f"{name} answered over HTTP/2 {heads!r}", right, body, expected * _REPEATS)


def _nghttp(target: Target, *options: str) -> bytes:
    command = ["nghttp", "--no-verify-peer", f"--multiply={_REPEATS}", f"--timeout={_TIMEOUT_S}"]
    command += [f"--data={target.upload}"] if target.upload else []
    command += [*options, *header_options(target), target.url]
    return subprocess.run(command, capture_output=True, timeout=2 * _TIMEOUT_S, check=True).stdout


def _compare(told: str, right: bool, body: bytes, expected: bytes) -> None:
    if not right or body != expected:
        raise WrongAnswerError(
            f"{told} and {len(body)} bytes ({body[:80]!r}), expected 200 and {len(expected)} bytes"
        )
