"""curl as a client: over any version of HTTP, and it decodes what it is sent (gzip, br, zstd).

It is a decoder of other people's making for what the proxy has encoded, and the only one at hand
for all three codings.
"""

import os
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from testkit.ports import LOOPBACK

_VERSIONS = {"1.0": "--http1.0", "1.1": "--http1.1", "2": "--http2-prior-knowledge"}
_LIMIT_S = 20
_OPTIONS = ["--silent", "--show-error", "--no-buffer", "--compressed", "--include"]
_READ_BYTES = 65_536
PARTIAL_FILE = 18
"""Its exit code for a body of HTTP/1.1 that ends before its end."""
STREAM_ERROR = 92
"""… and for a stream of HTTP/2 that is reset."""


@dataclass(frozen=True)
class Answer:
    """What it printed.

    Attributes:
        status: Of the response.
        fields: Name in lower case and value, in order.
        body: Decoded.
        exit_code: 0 = a whole response.
    """

    status: int
    fields: list[tuple[str, str]]
    body: bytes
    exit_code: int

    def values(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for found, value in self.fields if found == name.lower()]


def command(
    port: int, version: str, *more: str, encoding: str | None = None, ca: Path | None = None
) -> list[str]:
    """The command for one request.

    Args:
        port: On 127.0.0.1.
        version: 1.0, 1.1 or 2.
        more: Options.
        encoding: What it says to accept; None = it says nothing.
        ca: Whom it believes; None = in the clear.
    """
    line = "Accept-Encoding:" if encoding is None else f"Accept-Encoding: {encoding}"
    options = [*_OPTIONS, _VERSIONS[version], "--max-time", str(_LIMIT_S), "--header", line]
    trust = ["--cacert", str(ca)] if ca else []
    scheme = "https" if ca else "http"
    return ["curl", *options, *trust, *more, f"{scheme}://{LOOPBACK}:{port}/"]


def fetch(
    port: int, version: str, *more: str, encoding: str | None = None, ca: Path | None = None
) -> Answer:
    """One request and all of its response; the arguments are those of ``command``."""
    line = command(port, version, *more, encoding=encoding, ca=ca)
    done = subprocess.run(line, capture_output=True, timeout=_LIMIT_S + 5, check=False)
    status, fields, body = _parsed(done.stdout)
    return Answer(status, fields, body, done.returncode)


def _parsed(output: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    head, _, body = output.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return int(status_line.split()[1]), [(name.lower(), value) for name, value in pairs], body


class Stream:
    """A response that is read while it comes; the arguments are those of ``command``."""

    def __init__(
        self,
        port: int,
        version: str,
        *more: str,
        encoding: str | None = None,
        ca: Path | None = None,
    ) -> None:
        line = command(port, version, *more, encoding=encoding, ca=ca)
        self._process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._output = b""

    @property
    def head(self) -> bytes:
        """Status line and fields, once there is something of the body."""
        return self._output.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        """What has come so far, decoded."""
        return self._output.partition(b"\r\n\r\n")[2]

    def wait_for(self, body: bytes, timeout_s: float = 10) -> None:
        """Return as soon as this is what has come of the body.

        Raises:
            AssertionError: If it did not come in time, or something else did.
        """
        deadline = time.monotonic() + timeout_s
        while len(self.body) < len(body) and self._fill(deadline - time.monotonic()):
            pass
        assert self.body == body, self._output[-1_000:]

    def finish(self) -> int:
        """Read the rest; the exit code."""
        while self._fill(_LIMIT_S):
            pass
        return self._process.wait(_LIMIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _fill(self, timeout_s: float) -> bool:
        """Read what there is; False at the end, or if nothing comes in time."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        if not select.select([descriptor], [], [], max(0, timeout_s))[0]:
            return False
        piece = os.read(descriptor, _READ_BYTES)
        self._output += piece
        return bool(piece)
