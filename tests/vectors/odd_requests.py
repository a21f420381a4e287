"""Requests that are odd, not attacks on the framing: hosts, targets, fields, several in a row.

Of some a part of the servers makes something else than the rest. What is forwarded must be read the
same by all (tests/conformance).
"""


def _get(target: bytes, *lines: bytes, host: bytes = b"test") -> bytes:
    return b"\r\n".join([b"GET " + target + b" HTTP/1.1", b"Host: " + host, *lines, b"", b""])


_HOSTS = {
    "twice": _get(b"/", b"Host: evil"),
    "twice, first empty": _get(b"/", b"Host: test", host=b""),
    "twice, second with a space before the colon": _get(b"/", b"Host : evil"),
    "twice, second continued": _get(b"/", b" Host: evil"),
    "list": _get(b"/", host=b"test, evil"),
    "two words": _get(b"/", host=b"test evil"),
    "with a path": _get(b"/", host=b"test/evil"),
    "with a user": _get(b"/", host=b"user@test"),
    "with a query": _get(b"/", host=b"test?evil"),
    "with a NUL": _get(b"/", host=b"test\x00.evil"),
    "with a percent sign": _get(b"/", host=b"te%73t"),
    "with a dot at the end": _get(b"/", host=b"test."),
    "with an underscore": _get(b"/", host=b"te_st"),
    "with a port of zero": _get(b"/", host=b"test:0"),
    "with a port of zeros": _get(b"/", host=b"test:0080"),
    "with an empty port": _get(b"/", host=b"test:"),
    "with a port that is too large": _get(b"/", host=b"test:65536"),
    "IPv6": _get(b"/", host=b"[::1]:8080"),
    "IPv6 with a zone": _get(b"/", host=b"[fe80::1%25eth0]"),
    "number": _get(b"/", host=b"2130706433"),
    "signs that a host may have": _get(b"/", host=b"a!$&'()*+;=~b"),
    "absolute target, same": _get(b"http://test/a"),
    "absolute target, other case": _get(b"http://TEST/a"),
    "absolute target, other host": _get(b"http://evil/a"),
    "absolute target, other port": _get(b"http://test:81/a"),
    "absolute target, user before": _get(b"http://evil@test/a"),
    "absolute target, host behind an at sign": _get(b"http://test:80@evil/a"),
    "absolute target, backslash": _get(b"http://test\\@evil/a"),
    "absolute target, no path": _get(b"http://test"),
    "absolute target, query only": _get(b"http://test?a"),
    "absolute target, empty host": _get(b"http:///a"),
    "absolute target, https": _get(b"https://test/a"),
    "absolute target, three slashes": _get(b"http:////test/a"),
    "absolute target of OPTIONS": b"OPTIONS http://test HTTP/1.1\r\nHost: test\r\n\r\n",
    "named by Connection": _get(b"/", b"Connection: Host"),
}

_TARGETS = [
    b"/%2f", b"/%2F%2f", b"/a%2fb", b"/a%5cb", b"/a%00b", b"/%ff", b"/%c3%a9", b"/%u0061", b"/%",
    b"/%1", b"/%zz", b"/%25", b"/%252f", b"/%2e", b"/%2e/", b"/%2e%2e/", b"/a/%2e%2e/b",
    b"/a/..%2fb", b"/a/%2e%2e%2fb", b"/a/..;/b", b"/a;b=c/d", b"/a/.;/b", b"/./", b"/../",
    b"/a/..", b"/a/../../b", b"/...", b"/.a", b"//", b"//evil/a", b"///a", b"/a//b", b"/a/",
    b"/a/.", b"/\\evil", b"/a\\..\\b", b"/a#b", b"/a?", b"/a??", b"/a?b?c", b"/a?b#c",
    b"/a?b=/../c", b"/a?%", b"/a?%00", b"/a?%0d%0aX:%20y", b"/a%0d%0aX:%20y",
    b"/a%20HTTP/1.1%0d%0aX:%20y", b"/a+b", b"/a%20b", b"/a%09b", b"/a\tb", b"/a\x7fb", b"/\xff",
    b"/\xc3\xa9", b"/\x00", b"/:a", b"/a:80", b"/@a", b"/a@b", b"/~a", b"/%7ea", b"/!$&'()*+,;=",
    b"/[a]", b"/a|b", b"/a<b>c", b'/a"b"', b"/a^b", b"/{a}", b"/a`b", b"/?", b"/*", b"*", b"a",
    b"", b"?a", b"http:/a", b"ftp://test/a", b"test:80",
]  # fmt: skip

_FIELDS = {
    "empty": b"X:",
    "of spaces": b"X:    ",
    "with tabs within": b"X: a\tb",
    "with bytes above ASCII": b"X: \xe9\xff",
    "with UTF-8": "X: é€".encode(),
    "with quotes": b'X: "a\\"b", c',
    "with a colon": b"X: a: b",
    "with commas": b"X: ,a,,b,",
    "repeated": b"X: a\r\nX: b",
    "repeated in other case": b"X: a\r\nx: b",
    "repeated, first empty": b"X:\r\nX: b",
    "Cookie twice": b"Cookie: a=1\r\nCookie: b=2",
    "cut by a NUL": b"X: a\x00b",
    "with a DEL": b"X: a\x7f",
    "with an escape": b"X: a\x1b",
    "without a colon": b"X",
    "without a name": b": a",
    "with a name of digits": b"123: a",
    "with a name of signs": b"!#$%&'*+-.^_`|~: a",
    "with a space in the name": b"X Y: a",
    "with a name above ASCII": b"\xe9: a",
    "with a long name": b"X" * 200 + b": a",
    "with a long value": b"X: " + b"a" * 4_000,
    "continued": b"X: a\r\n b",
    # Names that CGI or a framework folds into one that the proxy writes or strikes out.
    "X_Forwarded_For": b"X_Forwarded_For: 203.0.113.9",
    "X.Forwarded.For": b"X.Forwarded.For: 203.0.113.9",
    "X-Forwarded.For": b"X-Forwarded.For: 203.0.113.9",
    "X!Forwarded!For": b"X!Forwarded!For: 203.0.113.9",
    "X~Real~IP": b"X~Real~IP: 203.0.113.9",
    "Content.Length": b"Content.Length: 5",
    "Proxy": b"Proxy: http://evil/",
    "Keep-Alive": b"Keep-Alive: timeout=5, max=1",
    "Proxy-Connection": b"Proxy-Connection: close",
    "TE": b"TE: trailers",
    "Upgrade without Connection": b"Upgrade: websocket",
    "Upgrade": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13",
    "Upgrade to h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMA",
    "Range": b"Range: bytes=0-0",
    "If-Match": b'If-Match: "a"',
    "Connection that names X": b"Connection: X\r\nX: a",
    "Connection that names the claims": b"Connection: X-Forwarded-For, X-Forwarded-Proto",
    "Connection of commas": b"Connection: ,,,",
    "Connection with close in a value": b"Connection: not-close",
    "Max-Forwards": b"Max-Forwards: 0",
    "method override": b"X-HTTP-Method-Override: DELETE",
}

_FIRST, _SECOND = _get(b"/first"), _get(b"/second")
_POST = b"POST /first HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"
_CHUNKED = (
    b"POST /first HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
)

_IN_A_ROW = {
    "two": _FIRST + _SECOND,
    "ten": b"".join(_get(b"/%d" % number) for number in range(10)),
    "after a body": _POST + _SECOND,
    "after chunks and a trailer": _CHUNKED + _SECOND,
    "after a body of a GET": _POST.replace(b"POST", b"GET") + _SECOND,
    "after a HEAD": _FIRST.replace(b"GET", b"HEAD") + _SECOND,
    "after a length of zero": _get(b"/first", b"Content-Length: 0") + _SECOND,
    "after an empty line": _POST + b"\r\n" + _SECOND,
    "after a body and its own CRLF": _POST.replace(b"5\r\n\r\nhello", b"7\r\n\r\nhello\r\n")
    + _SECOND,
    "after a bare LF": _POST + b"\n" + _SECOND,
    "after two empty lines": _POST + b"\r\n\r\n" + _SECOND,
    "after a byte too much": _POST + b"x" + _SECOND,
    "after close": _get(b"/first", b"Connection: close") + _SECOND,
    "after HTTP/1.0": _FIRST.replace(b"HTTP/1.1", b"HTTP/1.0") + _SECOND,
    "after an expectation": _POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    + _SECOND,
    "after an upgrade that nobody follows": _get(
        b"/first", b"Connection: Upgrade", b"Upgrade: websocket"
    )
    + _SECOND,
    "second is malformed": _POST + b"GET /second\r\n\r\n",
    "second has two hosts": _POST + _get(b"/second", b"Host: evil"),
    "second is cut off": _POST + _SECOND[:-2],
    "first is cut off": _POST[:-1],
    "chunks are cut off": _CHUNKED[:-2],
}

_METHODS = [b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"PATCH", b"PROPFIND", b"PURGE"]
_METHODS += [b"QUERY", b"FOO", b"GETX", b"Get", b"G-T", b"G.T", b"!", b"PRI"]


def _method(method: bytes) -> bytes:
    return _get(b"/").replace(b"GET", method)


ROWS = {
    **{f"host {name}": raw for name, raw in _HOSTS.items()},
    **{f"target {target!r}": _get(target) for target in _TARGETS},
    **{f"field {name}": _get(b"/", line) for name, line in _FIELDS.items()},
    **{f"method {method.decode()}": _method(method) for method in _METHODS},
    **{f"in a row: {name}": raw for name, raw in _IN_A_ROW.items()},
}
