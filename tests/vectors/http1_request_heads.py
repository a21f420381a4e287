"""Request lines, targets, line endings, headers, Host, Expect, Connection: the verdict on each.

A part of ``http1_requests.py``, which tells how to read it.
"""

from vectors.http1_row import CHUNKED_HELLO, GET, get, host, passed, post, refused, request_line

REQUEST_LINES = [
    *passed(
        "RFC 9112 §3",
        {
            "plain GET": GET,
            "path and query": request_line(b"GET /a/b?c=d&e=%20f HTTP/1.1"),
            "double slash in the path": request_line(b"GET //a HTTP/1.1"),
            "unknown method": request_line(b"M-SEARCH / HTTP/1.1"),
            "methods are case-sensitive, so this is another one": request_line(b"get / HTTP/1.1"),
            "longest method": request_line(b"M" * 32 + b" / HTTP/1.1"),
            "longest target": request_line(b"GET /" + b"a" * 8191 + b" HTTP/1.1"),
            "HEAD": request_line(b"HEAD / HTTP/1.1"),
        },
    ),
    *refused(
        "RFC 9112 §3",
        "bad_request_line",
        {
            "two spaces after the method": request_line(b"GET  / HTTP/1.1"),
            "two spaces before the version": request_line(b"GET /  HTTP/1.1"),
            "space in the target": request_line(b"GET /a b HTTP/1.1"),
            "space after the version": request_line(b"GET / HTTP/1.1 "),
            "no version (HTTP/0.9)": request_line(b"GET /"),
            "no target": request_line(b"GET HTTP/1.1"),
            "method only": request_line(b"GET"),
            "two targets": request_line(b"GET /a /b HTTP/1.1"),
            "SSH greeting": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            "PROXY protocol where none is expected": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"
            + GET,
        },
    ),
    *refused(
        "RFC 9110 §9.1",
        "bad_method",
        {
            "space before the method": request_line(b" GET / HTTP/1.1"),
            "tab instead of space": request_line(b"GET\t/ HTTP/1.1"),
            "at sign in the method": request_line(b"G@T / HTTP/1.1"),
            "NUL in the method": request_line(b"G\x00T / HTTP/1.1"),
            "non-ASCII method": request_line("GÉT / HTTP/1.1".encode()),
            "colon in the method": request_line(b"GET: / HTTP/1.1"),
            "method too long": request_line(b"M" * 33 + b" / HTTP/1.1"),
        },
    ),
    *refused(
        "RFC 9112 §2.3",
        "bad_version",
        {
            "lower-case http": request_line(b"GET / http/1.1"),
            "mixed-case Http": request_line(b"GET / Http/1.1"),
            "no minor version": request_line(b"GET / HTTP/1"),
            "empty minor version": request_line(b"GET / HTTP/1."),
            "two-digit minor version": request_line(b"GET / HTTP/1.10"),
            "two-digit major version": request_line(b"GET / HTTP/11.1"),
            "comma in the version": request_line(b"GET / HTTP/1,1"),
            "misspelt protocol": request_line(b"GET / HTP/1.1"),
            "other protocol": request_line(b"GET / ICAP/1.0"),
            "sign in the version": request_line(b"GET / HTTP/+1.1"),
        },
    ),
    *refused(
        "RFC 9110 §15.6.6",
        "unsupported_version",
        {
            "HTTP/2.0": request_line(b"GET / HTTP/2.0"),
            "HTTP/3.0": request_line(b"GET / HTTP/3.0"),
            "HTTP/0.9 spelt out": request_line(b"GET / HTTP/0.9"),
            "unknown minor version (RFC 9110 §2.5 would allow it)": request_line(b"GET / HTTP/1.2"),
        },
    ),
]

TARGETS = [
    *passed(
        "RFC 9112 §3.2",
        {
            "absolute form": request_line(b"GET http://test/a HTTP/1.1"),
            "absolute form without a path": request_line(b"GET http://test HTTP/1.1"),
            "absolute form with query only": request_line(b"GET http://test?a=b HTTP/1.1"),
            "absolute form, other case": request_line(b"GET HTTP://TEST/a HTTP/1.1"),
            "asterisk form for OPTIONS": request_line(b"OPTIONS * HTTP/1.1"),
            "percent-encoded slash": request_line(b"GET /a%2Fb HTTP/1.1"),
            "dot segments within the root": request_line(b"GET /a/../b/./c HTTP/1.1"),
        },
    ),
    *refused(
        "RFC 9112 §3.2",
        "bad_target",
        {
            "NUL in the target": request_line(b"GET /\x00 HTTP/1.1"),
            "control byte in the target": request_line(b"GET /\x01 HTTP/1.1"),
            "DEL in the target": request_line(b"GET /\x7f HTTP/1.1"),
            "tab in the target": request_line(b"GET /\ta HTTP/1.1"),
            "non-ASCII in the target": request_line("GET /é HTTP/1.1".encode()),
            "byte that is no UTF-8 in the target": request_line(b"GET /\xff HTTP/1.1"),
            "fragment in the target": request_line(b"GET /a#b HTTP/1.1"),
            "backslash in the target": request_line(b"GET /a\\b HTTP/1.1"),
            "relative target": request_line(b"GET a/b HTTP/1.1"),
            "query without a path": request_line(b"GET ?a=b HTTP/1.1"),
            "asterisk form for GET": request_line(b"GET * HTTP/1.1"),
            "asterisk with a query": request_line(b"OPTIONS *?a HTTP/1.1"),
            "authority form for GET": request_line(b"GET test:80 HTTP/1.1"),
            "absolute form of another scheme": request_line(b"GET ftp://test/ HTTP/1.1"),
            "absolute form without authority": request_line(b"GET http:///a HTTP/1.1"),
            "absolute form with user": request_line(b"GET http://user@test/ HTTP/1.1"),
            "absolute form with a bad port": request_line(b"GET http://test:http/ HTTP/1.1"),
            "scheme without slashes": request_line(b"GET http:test/a HTTP/1.1"),
            "above the root": request_line(b"GET /../a HTTP/1.1"),
            "above the root, encoded": request_line(b"GET /%2e%2e/a HTTP/1.1"),
            "encoded NUL": request_line(b"GET /%00 HTTP/1.1"),
            "broken percent-encoding": request_line(b"GET /%zz HTTP/1.1"),
            "percent-encoding cut off": request_line(b"GET /%2 HTTP/1.1"),
        },
    ),
    *refused(
        "RFC 9112 §3.2.3",
        "bad_target",
        {
            "CONNECT with a path": request_line(b"CONNECT / HTTP/1.1"),
            "CONNECT without a port": request_line(b"CONNECT test HTTP/1.1"),
            "CONNECT with an absolute form": request_line(b"CONNECT http://test:80/ HTTP/1.1"),
            "CONNECT with an empty port": request_line(b"CONNECT test: HTTP/1.1"),
        },
    ),
    *refused(
        "RFC 9110 §15.5.15",
        "target_too_long",
        {
            "target too long": request_line(b"GET /" + b"a" * 8192 + b" HTTP/1.1"),
            "target too long and without an end": b"GET /" + b"a" * 12_000,
        },
    ),
]

LINE_ENDINGS = [
    *passed(
        "RFC 9112 §2.2",
        {
            "one empty line before the request": b"\r\n" + GET,
        },
    ),
    *refused(
        "RFC 9112 §2.2",
        "bad_line_ending",
        {
            "two empty lines before the request (one is allowed)": b"\r\n\r\n" + GET,
            "bare LF before the request": b"\n" + GET,
            "PROXY protocol 2 signature": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + GET,
            "bare LF after the request line": b"GET / HTTP/1.1\nHost: test\r\n\r\n",
            "bare LF after a header": b"GET / HTTP/1.1\r\nHost: test\nA: b\r\n\r\n",
            "bare LF after the last header": b"GET / HTTP/1.1\r\nHost: test\n\r\n",
            "bare LF as the empty line": b"GET / HTTP/1.1\r\nHost: test\r\n\n",
            "bare LF everywhere": b"GET / HTTP/1.1\nHost: test\n\n",
            "bare CR after the request line": b"GET / HTTP/1.1\rHost: test\r\n\r\n",
            "bare CR after a header": b"GET / HTTP/1.1\r\nHost: test\rA: b\r\n\r\n",
            "bare CR in a value": get(b"A: b\rc"),
            "two CR at the end of a line": get(b"A: b\r"),
            "bare CR in a name": get(b"A\rB: c"),
            "bare CR as the empty line": b"GET / HTTP/1.1\r\nHost: test\r\n\rX\r\n\r\n",
            "bare LF hides a length": b"POST / HTTP/1.1\r\nHost: test\r\n"
            b"A: b\nContent-Length: 5\r\n\r\n",
        },
    ),
]

HEADERS = [
    *passed(
        "RFC 9110 §5",
        {
            "no space after the colon": get(b"A:b"),
            "tabs and spaces around the value": get(b"A: \t b \t "),
            "empty value": get(b"A:"),
            "colon in the value": get(b"A: b:c: d"),
            "bytes above ASCII in a value": get(b"A: \xe4\xf6\xfc"),
            "all kinds of token bytes in a name": get(b"!#$%&'*+-.^_`|~09azAZ: b"),
            "repeated header": get(b"A: b", b"A: c"),
            "98 more headers": get(*[b"A: b"] * 98),
        },
    ),
    *refused(
        "RFC 9110 §5.1",
        "bad_header_name",
        {
            "empty name": get(b": b"),
            "no colon": get(b"Accept"),
            "space in the name": get(b"A B: c"),
            "NUL in the name": get(b"A\x00B: c"),
            "control byte in the name": get(b"A\x01: b"),
            "non-ASCII name": get("Ä: b".encode()),
            "parentheses in the name": get(b"(A): b"),
            "slash in the name": get(b"A/B: c"),
            "quotes around the name": get(b'"A": b'),
        },
    ),
    *refused(
        "RFC 9112 §5.1",
        "space_before_colon",
        {
            "space before the colon": get(b"A : b"),
            "tab before the colon": get(b"A\t: b"),
            "space before the colon of Content-Length": post(b"Content-Length : 5"),
            "space before the colon of Transfer-Encoding": post(
                b"Transfer-Encoding : chunked", body=CHUNKED_HELLO
            ),
            "space before the colon of Host": b"GET / HTTP/1.1\r\nHost : test\r\n\r\n",
        },
    ),
    *refused(
        "RFC 9112 §5.2",
        "obs_fold",
        {
            "line continued by a space": get(b"A: b", b" c"),
            "line continued by a tab": get(b"A: b", b"\tc"),
            "empty value continued": get(b"A:", b" b"),
            "coding on a continuation line": post(
                b"Transfer-Encoding:", b" chunked", body=CHUNKED_HELLO
            ),
            "line of spaces": get(b"A: b", b"   "),
            "space before the first header": b"GET / HTTP/1.1\r\n Host: test\r\n\r\n",
            "tab before the first header": b"GET / HTTP/1.1\r\n\tHost: test\r\n\r\n",
        },
    ),
    *refused(
        "RFC 9110 §5.5",
        "bad_header_value",
        {
            "NUL in a value": get(b"A: b\x00c"),
            "control byte in a value": get(b"A: b\x01"),
            "vertical tab in a value": get(b"A: \x0bb"),
            "escape in a value": get(b"A: \x1b[1m"),
            "DEL in a value": get(b"A: \x7f"),
            "NUL after a coding": post(b"Transfer-Encoding: chunked\x00", body=CHUNKED_HELLO),
            "vertical tab before a coding": post(
                b"Transfer-Encoding: \x0bchunked", body=CHUNKED_HELLO
            ),
        },
    ),
    *refused(
        "RFC 6585 §5",
        "head_too_large",
        {
            "one long header": get(b"A: " + b"b" * 17_000),
            "one long name": get(b"A" * 17_000 + b": b"),
            "many headers that are too large together": get(*[b"A: " + b"b" * 400] * 50),
            "head without an end": b"GET / HTTP/1.1\r\nHost: test\r\nA: " + b"b" * 17_000,
            "head without an end behind an empty line": b"\r\nGET / HTTP/1.1\r\nHost: test\r\nA: "
            + b"b" * 17_000,
        },
    ),
    *refused(
        "RFC 6585 §5",
        "too_many_headers",
        {
            "101 headers": get(*[b"A: b"] * 100),
            "1 000 headers": get(*[b"A: b"] * 999),
        },
    ),
]

HOSTS = [
    *passed(
        "RFC 9112 §3.2",
        {
            "host with a port": host(b"test:8080"),
            "host in upper case": host(b"EXAMPLE.Test"),
            "IPv4 address": host(b"127.0.0.1:80"),
            "IPv6 address": host(b"[::1]"),
            "IPv6 address with a port": host(b"[2001:db8::1]:8080"),
            "host with an underscore": host(b"my_app.test"),
        },
    ),
    *refused(
        "RFC 9112 §3.2",
        "missing_host",
        {
            "no Host": b"GET / HTTP/1.1\r\n\r\n",
            "no Host though the target is absolute": b"GET http://test/ HTTP/1.1\r\n\r\n",
        },
    ),
    *refused(
        "RFC 9112 §3.2",
        "duplicate_host",
        {
            "Host twice": get(b"Host: other"),
            "the same Host twice": get(b"Host: test"),
            "Host twice in other case": get(b"HOST: test"),
        },
    ),
    *refused(
        "RFC 9110 §7.2",
        "bad_host",
        {
            "empty Host (refused: it names nobody)": host(b""),
            "Host of spaces": host(b"   "),
            "list of hosts": host(b"test, other"),
            "two hosts": host(b"test other"),
            "user in the Host": host(b"user@test"),
            "path in the Host": host(b"test/a"),
            "URL in the Host": host(b"http://test"),
            "query in the Host": host(b"test?a"),
            "fragment in the Host": host(b"test#a"),
            "backslash in the Host": host(b"test\\a"),
            "port of letters": host(b"test:http"),
            "port out of range": host(b"test:65536"),
            "negative port": host(b"test:-1"),
            "two ports": host(b"test:80:80"),
            "port only": host(b":80"),
            "open bracket": host(b"[::1"),
            "no IPv6 address in the brackets": host(b"[test]"),
            "bytes after the brackets": host(b"[::1]a"),
            "IPv6 address without brackets": host(b"::1"),
            "non-ASCII host": host("tést".encode()),
            "byte that is no UTF-8 in the Host": host(b"t\xffst"),
        },
    ),
    *refused(
        "RFC 9112 §3.2.2",
        "host_mismatch",
        {
            "absolute form names another host": request_line(b"GET http://other/ HTTP/1.1"),
            "absolute form names another port": request_line(b"GET http://test:81/ HTTP/1.1"),
            "absolute form names the default port, Host does not": request_line(
                b"GET http://test:80/ HTTP/1.1"
            ),
            "CONNECT names another host": request_line(b"CONNECT other:80 HTTP/1.1"),
        },
    ),
]

EXPECTATIONS = [
    *passed(
        "RFC 9110 §10.1.1",
        {
            "100-continue": post(b"Expect: 100-continue", b"Content-Length: 5"),
            "100-continue in other case": post(b"Expect: 100-Continue", b"Content-Length: 5"),
            "100-continue without a body": get(b"Expect: 100-continue"),
        },
    ),
    *refused(
        "RFC 9110 §10.1.1",
        "unknown_expectation",
        {
            "unknown expectation": post(b"Expect: 200-ok", b"Content-Length: 5"),
            "100-continue and more": post(b"Expect: 100-continue, more", b"Content-Length: 5"),
            "empty expectation": post(b"Expect:", b"Content-Length: 5"),
        },
    ),
]

CONNECTIONS = [
    *passed(
        "RFC 9110 §7.6.1",
        {
            "names a plain header": get(b"Connection: X-Hop", b"X-Hop: 1"),
            "names Host, which stays": get(b"Connection: Host"),
            "names Content-Length, which stays": post(
                b"Connection: Content-Length", b"Content-Length: 5"
            ),
            "empty members": get(b"Connection: , ,keep-alive,,"),
            "upgrade that is not named in Connection": get(b"Upgrade: websocket"),
            "upgrade to h2c is not passed on": get(
                b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"
            ),
            "upgrade that the server does not follow": get(
                b"Connection: Upgrade", b"Upgrade: websocket"
            ),
        },
    ),
    *passed(
        "RFC 9112 §9.3",
        {
            "HTTP/1.1 with close": get(b"Connection: close"),
            "close among others, in other case": get(b"Connection: X-Hop, CLOSE"),
            "close in a second line": get(b"Connection: keep-alive", b"Connection: close"),
            "HTTP/1.0 without Host": b"GET / HTTP/1.0\r\n\r\n",
            "HTTP/1.0 with a body": b"POST / HTTP/1.0\r\nHost: test\r\n"
            b"Content-Length: 5\r\n\r\nhello",
            "HTTP/1.0 ignores 100-continue": b"POST / HTTP/1.0\r\nHost: test\r\n"
            b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        },
        closes=True,
    ),
    *passed(
        "RFC 9112 §9.3",
        {
            "HTTP/1.0 with keep-alive": b"GET / HTTP/1.0\r\nHost: test\r\n"
            b"Connection: keep-alive\r\n\r\n",
        },
    ),
    *refused(
        "RFC 9110 §9.3.6",
        "bad_upgrade",
        {
            "CONNECT with a length": b"CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\n"
            b"Content-Length: 5\r\n\r\nhello",
            "CONNECT with chunks": b"CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED_HELLO,
        },
    ),
]
