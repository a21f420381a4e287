"""Requests as bytes, and the verdict on each: what a strict HTTP/1.1 proxy must do with them.

Every row is complete: its verdict follows from its bytes alone, fed whole or one at a time, without
waiting for an end of the connection. The limits are the defaults (head 16 KB, 100 headers, target
8 KB). After a refusal the connection is closed, because nobody knows where the next message starts
(RFC 9112 §2.2, §6.3); after a good request it stays open unless the row says otherwise.

Where the RFCs leave a choice the stricter one is taken, and the row says so in its name or section.
The reasons are a closed set (``http1_row.py``), the one of ``native/crates/http/src/error.rs``.
"""

from vectors.http1_request_bodies import CHUNKS, CODINGS, LENGTHS
from vectors.http1_request_heads import (
    CONNECTIONS,
    EXPECTATIONS,
    HEADERS,
    HOSTS,
    LINE_ENDINGS,
    REQUEST_LINES,
    TARGETS,
)
from vectors.http1_row import CHUNKED_HELLO, GET, Row, chunked


def _after(first_name: str, first: bytes, rows: list[Row]) -> list[Row]:
    """The rows once more, pipelined behind a good request."""
    return [
        Row(
            name=f"after {first_name}: {row.name}",
            raw=first + row.raw,
            section=row.section,
            statuses=(200, *row.statuses),
            reason=row.reason,
            closes=row.closes,
        )
        for row in rows
    ]


_PIPELINED_NAMES = {
    "plain GET",
    "one empty line before the request",
    "two spaces after the method",
    "bare LF after the request line",
    "no Host",
    "chunked twice in a list",
    "bad size after a good chunk",
    "chunked",
    "HTTP/1.1 with close",
}
_FIRST_ROWS = [
    *REQUEST_LINES,
    *TARGETS,
    *LINE_ENDINGS,
    *HEADERS,
    *HOSTS,
    *LENGTHS,
    *CODINGS,
    *CHUNKS,
    *EXPECTATIONS,
    *CONNECTIONS,
]
_TO_PIPELINE = [row for row in _FIRST_ROWS if row.name in _PIPELINED_NAMES]

ROWS = [
    *_FIRST_ROWS,
    *_after("a GET", GET, _TO_PIPELINE),
    *_after("a chunked POST", chunked(CHUNKED_HELLO), _TO_PIPELINE),
]
