"""Each way in which a server can fail a request: what the client, the log and the metric say.

All cases run first, side by side; then each is judged. One try each: retries have tests of their
own.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from testkit.client import BadResponseError, Response
from testkit.site import Program, Site
from testkit.upstream import (
    Script,
    Upstream,
    answer,
    forever,
    half_close,
    hang,
    read_request,
    reset,
    response,
    send,
    send_slowly,
)

LIMITS = """
retry.attempts = 1
timeouts.response_head = "400ms"
timeouts.body_idle = "400ms"
"""
BODY_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\n\r\n"
PART = b"HTTP/1.1 200 OK\r\nContent-Le"

# Server, status and reason: the client is told.
TOLD: dict[str, tuple[Script, int, str]] = {
    "hangs before the head": ([read_request, hang], 504, "response_timeout"),
    "hangs within the head": ([read_request, send(PART), hang], 504, "response_timeout"),
    "closes before the head": ([read_request], 502, "upstream_closed"),
    "closes within the head": (answer(PART), 502, "upstream_closed"),
    "half-closes before the head": ([read_request, half_close, hang], 502, "upstream_closed"),
    "resets before the head": ([read_request, reset], 502, "upstream_reset"),
    "answers garbage": (answer(b"\x16\x03\x01\x02\x00\x01\r\n\r\n"), 502, "bad_status_line"),
    "answers HTTP/2": (answer(b"HTTP/2 200\r\n\r\n"), 502, "bad_version"),
    "sends a bare LF": (answer(b"HTTP/1.1 200 OK\nA: b\n\n"), 502, "bad_line_ending"),
    "sends two lengths": (
        answer(response(b"ok", "200 OK", "Content-Length: 3")),
        502,
        "repeated_content_length",
    ),
    "sends length and chunks": (
        answer(response(b"ok", "200 OK", "Transfer-Encoding: chunked")),
        502,
        "length_and_transfer_encoding",
    ),
    "sends a head without end": (
        [read_request, send(b"HTTP/1.1 200 OK\r\nA: "), forever(send(b"x" * 4096))],
        502,
        "head_too_large",
    ),
    "switches protocols unasked": (answer(SWITCH), 502, "unexpected_upgrade"),
    "trickles the head": (
        [
            read_request,
            send_slowly(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100, piece_bytes=1, interval_s=0.01),
        ],
        504,
        "response_timeout",
    ),
}
# Server and reason: too late to tell, so the connection is cut.
CUT: dict[str, tuple[Script, str]] = {
    "hangs within the body": ([read_request, send(BODY_HEAD + b"half"), hang], "response_stalled"),
    "closes within the body": (answer(BODY_HEAD + b"half"), "response_truncated"),
    "sends no body at all": (answer(BODY_HEAD), "response_truncated"),
    "resets within the body": (
        [read_request, send_slowly(BODY_HEAD + b"half", piece_bytes=50, interval_s=0.1), reset],
        "response_truncated",
    ),
    "hangs within a chunk": (
        [read_request, send(CHUNKED_HEAD + b"8\r\nhalf"), hang],
        "response_stalled",
    ),
    "closes within a chunk": (answer(CHUNKED_HEAD + b"8\r\nhalf"), "response_truncated"),
    "closes before the last chunk": (
        answer(CHUNKED_HEAD + b"4\r\nhalf\r\n"),
        "response_truncated",
    ),
    "sends a bad chunk size": (answer(CHUNKED_HEAD + b"4\r\nhalf\r\nxyz\r\n"), "bad_chunk_size"),
    "sends a chunk too long": (
        answer(CHUNKED_HEAD + b"4\r\nhalfmore\r\n0\r\n\r\n"),
        "bad_chunk_end",
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What one case came to."""

    received: Response | BadResponseError
    entry: dict[str, Any]
    failures: float
    failures_of_that_reason: float


def ask(site: Site) -> Response | BadResponseError:
    try:
        return site.get()
    except BadResponseError as error:
        return error


def outcome(program: Program, site: Site, received: Response | BadResponseError) -> Outcome:
    (entry,) = program.log(site)
    same = program.failures(site, reason=entry.get("reason", ""))
    return Outcome(received, entry, program.failures(site), same)


@pytest.fixture(scope="module")
def outcomes(program: Program) -> Iterator[dict[str, Outcome]]:
    scripts = {name: script for name, (script, *_) in (TOLD | CUT).items()}
    with ExitStack() as stack:
        ports = {
            name: stack.enter_context(Upstream(script)).port for name, script in scripts.items()
        }
        sites = {name: Site([port], route=LIMITS) for name, port in ports.items()}
        program.serve(*sites.values())
        with ThreadPoolExecutor(len(sites)) as threads:
            received = dict(zip(sites, threads.map(ask, sites.values()), strict=True))
        yield {name: outcome(program, site, received[name]) for name, site in sites.items()}


@pytest.mark.parametrize("name", TOLD)
def test_the_client_is_told(name: str, outcomes: dict[str, Outcome]) -> None:
    _, status, reason = TOLD[name]
    seen = outcomes[name]
    assert isinstance(seen.received, Response)
    assert seen.received.status == status
    assert seen.received.body == f'{{"error":"{reason}","status":{status}}}'.encode()
    assert (seen.entry["status"], seen.entry["reason"]) == (status, reason)
    assert seen.failures == seen.failures_of_that_reason == 1


@pytest.mark.parametrize("name", CUT)
def test_the_connection_is_cut(name: str, outcomes: dict[str, Outcome]) -> None:
    _, reason = CUT[name]
    seen = outcomes[name]
    assert isinstance(seen.received, BadResponseError)
    assert (seen.entry["status"], seen.entry["reason"]) == (200, reason)
    assert seen.failures == seen.failures_of_that_reason == 1
