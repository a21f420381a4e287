"""One row of the request tables, the closed set of reasons, and how the rows are written down.

The rules of the tables are told in ``http1_requests.py``.
"""

from dataclasses import dataclass

# Reason of a refusal → status of the answer.
STATUS_OF_REASON = {
    "bad_request_line": 400,
    "bad_method": 400,
    "bad_target": 400,
    "target_too_long": 414,
    "bad_version": 400,
    "unsupported_version": 505,
    "bad_header_name": 400,
    "space_before_colon": 400,
    "bad_header_value": 400,
    "obs_fold": 400,
    "bad_line_ending": 400,
    "head_too_large": 431,
    "too_many_headers": 431,
    "missing_host": 400,
    "duplicate_host": 400,
    "bad_host": 400,
    "host_mismatch": 400,
    "bad_content_length": 400,
    "repeated_content_length": 400,
    "length_and_transfer_encoding": 400,
    "bad_transfer_encoding": 400,
    "unknown_transfer_encoding": 501,
    "transfer_encoding_in_http10": 400,
    "bad_chunk_size": 400,
    "bad_chunk_extension": 400,
    "bad_chunk_end": 400,
    "bad_trailer": 400,
    "trailers_too_large": 431,
    "unknown_expectation": 417,
    "bad_upgrade": 400,
}


@dataclass(frozen=True)
class Row:
    """One case.

    Attributes:
        name: Says what is special.
        raw: All bytes the client sends.
        section: Where it is ruled.
        statuses: Of the final responses, in order; 200 stands for "passed on and answered".
        reason: Why the last request was refused, None if none was.
        closes: Whether the proxy closes the connection after the last response.
    """

    name: str
    raw: bytes
    section: str
    statuses: tuple[int, ...] = (200,)
    reason: str | None = None
    closes: bool = False


def refused(section: str, reason: str, rows: dict[str, bytes]) -> list[Row]:
    status = STATUS_OF_REASON[reason]
    return [Row(name, raw, section, (status,), reason, closes=True) for name, raw in rows.items()]


def passed(section: str, rows: dict[str, bytes], *, closes: bool = False) -> list[Row]:
    return [Row(name, raw, section, closes=closes) for name, raw in rows.items()]


def get(*fields: bytes) -> bytes:
    """A GET with these header lines after Host."""
    return (
        b"GET / HTTP/1.1\r\nHost: test\r\n" + b"".join(line + b"\r\n" for line in fields) + b"\r\n"
    )


def request_line(request_line: bytes) -> bytes:
    """A request with this request line and nothing special else."""
    return request_line + b"\r\nHost: test\r\n\r\n"


def host(value: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: " + value + b"\r\n\r\n"


def post(*fields: bytes, body: bytes = b"hello") -> bytes:
    """A POST whose framing is only what the fields say."""
    head = b"".join(line + b"\r\n" for line in fields)
    return b"POST / HTTP/1.1\r\nHost: test\r\n" + head + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


GET = get()
CHUNKED_HELLO = b"5\r\nhello\r\n0\r\n\r\n"
