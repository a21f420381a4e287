"""The admin API's caller behind the commands: finds the running trunkline and asks it."""

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from trunkline.core import state


class NotRunningError(Exception):
    """No running trunkline could be found or reached; the message says what was tried."""


class NoAnswerError(Exception):
    """It was asked, and has not answered in time: what was asked for may be done all the same."""


class RefusedError(Exception):
    """The admin API answered with an error.

    Attributes:
        status: HTTP status.
        body: Its JSON answer.
        reason: What that says, in one line.
    """

    def __init__(self, status: int, body: Any) -> None:
        self.reason = _reason(body)
        super().__init__(f"the admin API answered {status}: {self.reason}")
        self.status = status
        self.body = body


class AdminClient:
    """Calls one admin API."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token
        # A proxy of the environment has no business between us and loopback.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, method: str, path: str, body: Any = None, *, timeout_s: float = 30) -> Any:
        """Call a route and return its JSON answer.

        Raises:
            NotRunningError: Nobody can be asked.
            NoAnswerError: The answer has not come in time.
            RefusedError: The answer is an error.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            request = urllib.request.Request(self._url + path, data, headers, method=method)
            with self._opener.open(request, timeout=timeout_s) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise RefusedError(error.code, _json_or_text(error.read())) from error
        except ValueError as error:
            raise NotRunningError(f"{self._url} is not the URL of an admin API") from error
        except TimeoutError as error:
            # Only of the answer: what happens before that is wrapped by the library.
            waited = f"no answer from {self._url} in {timeout_s:g} s"
            raise NoAnswerError(f"{waited}; it may still be at it: trunkline status") from error
        except OSError as error:
            raise NotRunningError(f"no answer from {self._url}: {error}") from error


def find_client(config: Path | None) -> AdminClient:
    """The client of the trunkline that runs with this file, or of the only one that runs.

    `TRUNKLINE_ADMIN_URL` and `TRUNKLINE_ADMIN_TOKEN` come first: they reach other machines.

    Raises:
        NotRunningError: There is none, or more than one to choose from, or it is another user's.
    """
    if url := os.environ.get("TRUNKLINE_ADMIN_URL"):
        return AdminClient(url, os.environ.get("TRUNKLINE_ADMIN_TOKEN", ""))
    found = _find_all()
    if config is not None:
        found = [one for one in found if one.config == os.path.realpath(config)]
    if not found:
        what = f"no trunkline runs with {config}" if config else "no trunkline runs"
        raise NotRunningError(f"{what} (looked in {state.state_directory()})")
    if len(found) > 1:
        files = ", ".join(one.config for one in found)
        raise NotRunningError(f"more than one runs ({files}); name one with --config")
    return AdminClient(found[0].url, found[0].token)


def _find_all() -> list[state.Running]:
    try:
        return state.find_all()
    except PermissionError as error:
        whose = f"{error.filename} belongs to another user; run as that user or root"
        raise NotRunningError(whose) from error


def _json_or_text(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")


def _reason(body: Any) -> str:
    if isinstance(body, dict):
        return str(body.get("detail") or body.get("error") or body)
    return str(body)
