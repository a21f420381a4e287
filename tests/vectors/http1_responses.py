"""Responses of an upstream as bytes, and the verdict on each: what a strict proxy does with them.

The proxy has sent ``METHOD / HTTP/1.1`` and the upstream answers with exactly these bytes; then it
closes or stays open, as the row says. A verdict is one of

- ``passed``: the client gets the status and the whole body; ``reason`` is None, or says why the
  upstream connection is not used again;
- ``refused``: the client gets 502 and nothing of what the upstream sent;
- ``cut``: the fault shows only within the body. The client gets 502 if nothing was sent to it yet;
  else its connection ends before the body does, so that it notices.

The reasons are a closed set: of the parser (``native/crates/http/src/error.rs``) and, for what only
a whole exchange shows, of the engine (``native/crates/engine/src/failure.rs``).
"""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["passed", "refused", "cut"]


@dataclass(frozen=True)
class Row:
    """One case.

    Attributes:
        name: Says what is special.
        raw: All bytes the upstream sends.
        section: Where it is ruled.
        verdict: See the file's head.
        reason: Of the refusal or cut; None for most that pass.
        status: What the client gets when it passes.
        body: What the client gets when it passes.
        method: Of the request.
        closes: Whether the upstream closes the connection after the bytes.
    """

    name: str
    raw: bytes
    section: str
    verdict: Verdict = "passed"
    reason: str | None = None
    status: int = 200
    body: bytes = b"hello"
    method: str = "GET"
    closes: bool = False


def _head(*fields: bytes, status_line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([status_line, *fields]) + b"\r\n\r\n"


def _sized(*fields: bytes) -> bytes:
    """A good response with more header lines."""
    return _head(b"Content-Length: 5", *fields) + b"hello"


def _status(status_line: bytes) -> bytes:
    return _head(b"Content-Length: 5", status_line=status_line) + b"hello"


def _chunked(body: bytes) -> bytes:
    return _head(b"Transfer-Encoding: chunked") + body


def _passed(section: str, rows: dict[str, bytes]) -> list[Row]:
    return [Row(name, raw, section) for name, raw in rows.items()]


def _refused(
    section: str, reason: str, rows: dict[str, bytes], *, closes: bool = False
) -> list[Row]:
    return [
        Row(name, raw, section, "refused", reason, status=502, body=b"", closes=closes)
        for name, raw in rows.items()
    ]


def _cut(section: str, reason: str, rows: dict[str, bytes], *, closes: bool = False) -> list[Row]:
    return [Row(name, raw, section, "cut", reason, closes=closes) for name, raw in rows.items()]


CHUNKED_HELLO = b"5\r\nhello\r\n0\r\n\r\n"

STATUS_LINES = [
    *_passed(
        "RFC 9112 §4",
        {
            "plain 200": _sized(),
            "empty reason phrase": _status(b"HTTP/1.1 200 "),
            "no space before the missing reason phrase (many servers)": _status(b"HTTP/1.1 200"),
            "reason phrase with bytes above ASCII": _status(b"HTTP/1.1 200 \xe4\xf6"),
            "HTTP/1.0": _status(b"HTTP/1.0 200 OK"),
            "100 before the response": _head(status_line=b"HTTP/1.1 100 Continue") + _sized(),
            "103 before the response": _head(b"Link: a", status_line=b"HTTP/1.1 103 Early Hints")
            + _sized(),
        },
    ),
    Row("404", _status(b"HTTP/1.1 404 Not Found"), "RFC 9110 §15", status=404),
    Row("unknown status of a known class", _status(b"HTTP/1.1 299 X"), "RFC 9110 §15", status=299),
    *_refused(
        "RFC 9112 §4",
        "bad_status_line",
        {
            "garbage": b"hello, who is there?\r\n\r\n",
            "SSH greeting": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            "empty line before the status line": b"\r\n" + _sized(),
            "two-digit status": _status(b"HTTP/1.1 20 OK"),
            "four-digit status": _status(b"HTTP/1.1 2000 OK"),
            "letters for a status": _status(b"HTTP/1.1 abc OK"),
            "negative status": _status(b"HTTP/1.1 -20 OK"),
            "status below 100": _status(b"HTTP/1.1 099 X"),
            "status above 599": _status(b"HTTP/1.1 600 X"),
            "two spaces before the status": _status(b"HTTP/1.1  200 OK"),
            "NUL in the reason phrase": _status(b"HTTP/1.1 200 O\x00K"),
        },
    ),
    *_refused(
        "RFC 9112 §2.3",
        "bad_version",
        {
            "HTTP/2.0": _status(b"HTTP/2.0 200 OK"),
            "HTTP/1.2": _status(b"HTTP/1.2 200 OK"),
            "no minor version": _status(b"HTTP/1 200 OK"),
        },
    ),
    *_refused(
        "RFC 9110 §15.2.2",
        "unexpected_upgrade",
        {
            "101 that nobody asked for": _head(
                b"Connection: Upgrade",
                b"Upgrade: x",
                status_line=b"HTTP/1.1 101 Switching Protocols",
            ),
        },
    ),
]

HEADS = [
    *_refused(
        "RFC 9112 §2.2",
        "bad_line_ending",
        {
            "bare LF after the status line": b"HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello",
            "bare LF after a header": b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 5\r\n\r\nhello",
            "bare LF as the empty line": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello",
            "bare CR in a value": _sized(b"A: b\rc"),
        },
    ),
    *_refused(
        "RFC 9112 §5.1",
        "space_before_colon",
        {
            "space before the colon": _sized(b"A : b"),
            "space before the colon of Transfer-Encoding": _sized(b"Transfer-Encoding : chunked"),
        },
    ),
    *_refused(
        "RFC 9112 §5.2",
        "obs_fold",
        {"line continued": _sized(b"A: b", b" c")},
    ),
    *_refused(
        "RFC 9110 §5.1",
        "bad_header_name",
        {
            "empty name": _sized(b": b"),
            "no colon": _sized(b"A"),
            "space in the name": _sized(b"A B: c"),
        },
    ),
    *_refused(
        "RFC 9110 §5.5",
        "bad_header_value",
        {"NUL in a value": _sized(b"A: \x00"), "control byte in a value": _sized(b"A: \x01")},
    ),
    *_refused(
        "RFC 6585 §5",
        "head_too_large",
        {
            "one long header": _sized(b"A: " + b"b" * 17_000),
            "head without an end": b"HTTP/1.1 200 OK\r\nA: " + b"b" * 17_000,
        },
    ),
    *_refused("RFC 6585 §5", "too_many_headers", {"200 headers": _sized(*[b"A: b"] * 200)}),
    *_refused(
        "RFC 9110 §15.6.3",
        "upstream_closed",
        {"nothing at all": b"", "half a head": b"HTTP/1.1 200 OK\r\nContent-Le"},
        closes=True,
    ),
]

FRAMING = [
    *_passed(
        "RFC 9112 §6.3",
        {
            "chunked": _chunked(CHUNKED_HELLO),
            "chunked in odd case": _head(b"Transfer-Encoding: CHUNKED") + CHUNKED_HELLO,
            "extension and trailer": _chunked(b"5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
            "the same length twice": _sized(b"Content-Length: 5"),
            "length with leading zeros": _head(b"Content-Length: 005") + b"hello",
        },
    ),
    Row("until close", _head() + b"hello", "RFC 9112 §6.3", closes=True),
    Row(
        "until close, HTTP/1.0",
        _head(status_line=b"HTTP/1.0 200 OK") + b"hello",
        "RFC 9112 §6.3",
        closes=True,
    ),
    Row("length 0", _head(b"Content-Length: 0"), "RFC 9112 §6.3", body=b""),
    Row(
        "204 has no body",
        _head(status_line=b"HTTP/1.1 204 No Content"),
        "RFC 9110 §15.3.5",
        status=204,
        body=b"",
    ),
    Row(
        "304 has no body, whatever its length",
        _head(b"Content-Length: 5", status_line=b"HTTP/1.1 304 Not Modified"),
        "RFC 9110 §15.4.5",
        status=304,
        body=b"",
    ),
    Row(
        "HEAD has no body, whatever its length",
        _head(b"Content-Length: 5"),
        "RFC 9110 §9.3.2",
        method="HEAD",
        body=b"",
    ),
    Row(
        "HEAD has no body, though chunked",
        _head(b"Transfer-Encoding: chunked"),
        "RFC 9110 §9.3.2",
        method="HEAD",
        body=b"",
    ),
    Row(
        "more body than the length says",
        _sized() + b"HTTP/1.1 200 OK\r\n\r\n",
        "RFC 9112 §9.2",
        reason="response_excess",
    ),
    *_refused(
        "RFC 9110 §8.6",
        "bad_content_length",
        {
            "empty length": _head(b"Content-Length:") + b"hello",
            "plus sign": _head(b"Content-Length: +5") + b"hello",
            "negative length": _head(b"Content-Length: -5") + b"hello",
            "hexadecimal length": _head(b"Content-Length: 0x5") + b"hello",
            "list of lengths": _head(b"Content-Length: 5, 5") + b"hello",
            "2^64 + 5": _head(b"Content-Length: 18446744073709551621") + b"hello",
        },
    ),
    *_refused(
        "RFC 9112 §6.3",
        "repeated_content_length",
        {"two different lengths": _sized(b"Content-Length: 6")},
    ),
    *_refused(
        "RFC 9112 §6.3",
        "length_and_transfer_encoding",
        {
            "length and chunked": _head(b"Content-Length: 5", b"Transfer-Encoding: chunked")
            + CHUNKED_HELLO
        },
    ),
    *_refused(
        "RFC 9112 §6.1",
        "transfer_encoding_in_http10",
        {
            "chunked in HTTP/1.0": _head(
                b"Transfer-Encoding: chunked", status_line=b"HTTP/1.0 200 OK"
            )
            + CHUNKED_HELLO
        },
    ),
    *_refused(
        "RFC 9112 §6.1",
        "unknown_transfer_encoding",
        {
            "gzip, then chunked": _head(b"Transfer-Encoding: gzip, chunked") + CHUNKED_HELLO,
        },
    ),
    *_refused(
        "RFC 9112 §6.1",
        "bad_transfer_encoding",
        {
            "xchunked": _head(b"Transfer-Encoding: xchunked") + CHUNKED_HELLO,
            "identity": _head(b"Transfer-Encoding: identity") + b"hello",
            "chunked twice": _head(b"Transfer-Encoding: chunked, chunked") + CHUNKED_HELLO,
            "empty coding": _head(b"Transfer-Encoding:") + CHUNKED_HELLO,
        },
    ),
]

BODIES = [
    *_cut(
        "RFC 9112 §8",
        "response_truncated",
        {
            "less body than the length says": _head(b"Content-Length: 9") + b"hello",
            "no body though the length says so": _head(b"Content-Length: 9"),
            "closed within a chunk": _chunked(b"9\r\nhello"),
            "closed between chunks": _chunked(b"5\r\nhello\r\n"),
            "closed within the trailers": _chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n"),
        },
        closes=True,
    ),
    *_cut(
        "RFC 9112 §7.1",
        "bad_chunk_size",
        {
            "size that is no number": _chunked(b"5\r\nhello\r\nx\r\n"),
            "size with 0x": _chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
            "size that overflows": _chunked(b"ffffffffffffffff\r\nhello\r\n"),
            "bare LF after the size": _chunked(b"5\nhello\r\n0\r\n\r\n"),
        },
    ),
    *_cut(
        "RFC 9112 §7.1",
        "bad_chunk_end",
        {"data longer than the size": _chunked(b"4\r\nhello\r\n0\r\n\r\n")},
    ),
    *_cut(
        "RFC 9112 §7.1.1",
        "bad_chunk_extension",
        {"bare LF in an extension": _chunked(b"5;a\nhello\r\n0\r\n\r\n")},
    ),
    *_cut(
        "RFC 9112 §7.1.2",
        "bad_trailer",
        {"trailer without a colon": _chunked(b"5\r\nhello\r\n0\r\nX-Sum\r\n\r\n")},
    ),
]

ROWS = [*STATUS_LINES, *HEADS, *FRAMING, *BODIES]
