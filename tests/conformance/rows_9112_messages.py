"""RFC 9112 §2 to §5: lines, versions, request lines, status lines, fields."""

from conformance.rfc_row import Row, bad_gateway, head, refused, sized
from vectors.http1_row import GET, chunked, get, host, request_line

ROWS = [
    # --- §2 ---
    Row(
        "9112 §2.2",
        "messages are octets: bytes above ASCII are no text in some encoding",
        get(b"X: \xff\xe4"),
        answers=sized(b"Y: \xfe\xf6"),
        server_gets=("X: \xff\xe4",),
        client_gets=("Y: \xfe\xf6",),
    ),
    refused("9112 §2.2", "bare CR in the request line", b"GET /\rX HTTP/1.1\r\nHost: test\r\n\r\n"),
    refused("9112 §2.2", "bare CR in the name of a field", get(b"X\rY: a")),
    refused("9112 §2.2", "bare CR in a chunk's size", chunked(b"5\rX\r\nhello\r\n0\r\n\r\n"), 400),
    refused("9112 §2.2", "bare CR in a trailer", chunked(b"0\r\nX: a\rY: b\r\n\r\n"), 400),
    bad_gateway("9112 §2.2", "bare CR in the status line", sized(status_line=b"HTTP/1.1 200 O\rK")),
    Row(
        "9112 §2.2",
        "bare CR in a response's chunk",
        answers=head(b"Transfer-Encoding: chunked") + b"5\rX\r\nhello\r\n0\r\n\r\n",
        cut=True,
    ),
    refused(
        "9112 §2.2",
        "white space between request line and fields",
        b"GET / HTTP/1.1\r\n X-Evil: a\r\nHost: test\r\n\r\n",
    ),
    bad_gateway(
        "9112 §2.2",
        "white space between status line and fields",
        b"HTTP/1.1 200 OK\r\n X-Evil: a\r\nContent-Length: 5\r\n\r\nhello",
    ),
    refused(
        "9112 §2.2",
        "white space only between request line and fields",
        b"GET / HTTP/1.1\r\n \r\n" + GET,
    ),
    Row(
        "9112 §2.3",
        "requests are forwarded with our own version",
        b"GET / HTTP/1.0\r\nHost: test\r\n\r\n",
        closes=True,
        server_gets=("GET / HTTP/1.1",),
    ),
    Row(
        "9112 §2.3",
        "responses are forwarded with our own version",
        answers=sized(status_line=b"HTTP/1.0 200 OK"),
        client_gets=("HTTP/1.1 200",),
        server_connections=2,
    ),
    # --- §3 ---
    refused(
        "9112 §3",
        "a target that is too long",
        request_line(b"GET /" + b"a" * 9_000 + b" HTTP/1.1"),
        414,
    ),
    refused("9112 §3.2", "HTTP/1.1 without Host", b"GET / HTTP/1.1\r\nX: a\r\n\r\n"),
    refused("9112 §3.2", "two Host lines", get(b"Host: evil")),
    refused("9112 §3.2", "two equal Host lines", get(b"Host: test")),
    refused("9112 §3.2", "two Host lines in HTTP/1.0", get(b"Host: b").replace(b"1.1", b"1.0")),
    refused("9112 §3.2", "a Host that is none", host(b"te st")),
    refused("9112 §3.2", "an invalid Host in HTTP/1.0", host(b"a/b").replace(b"1.1", b"1.0")),
    refused("9112 §3.2", "an invalid port in Host", host(b"test:8o")),
    Row(
        "9112 §3.2.1",
        "an empty path is sent as /",
        request_line(b"GET http://test HTTP/1.1"),
        server_gets=("GET / HTTP/1.1",),
    ),
    Row(
        "9112 §3.2.1",
        "an empty path before a query is sent as /",
        request_line(b"GET http://test?a=b HTTP/1.1"),
        server_gets=("GET /?a=b HTTP/1.1",),
    ),
    Row(
        "9112 §3.2.2",
        "the absolute form is accepted, and an origin server gets path and query",
        request_line(b"GET http://test/a?b HTTP/1.1"),
        server_gets=("GET /a?b HTTP/1.1", "Host: test"),
    ),
    Row(
        "9112 §3.2.2",
        "Host is made from an absolute target",
        b"GET http://www.test:81/ HTTP/1.0\r\n\r\n",
        closes=True,
        server_gets=("Host: www.test:81",),
    ),
    # The received Host MUST be ignored; we go further and refuse what says two things.
    refused(
        "9112 §3.2.2",
        "a Host beside another absolute target is not forwarded",
        b"GET http://other/ HTTP/1.1\r\nHost: test\r\n\r\n",
    ),
    refused("9112 §3.2.3", "CONNECT wants host and port", request_line(b"CONNECT /a HTTP/1.1")),
    Row(
        "9112 §3.2.4",
        "OPTIONS of a whole server is forwarded with *",
        request_line(b"OPTIONS http://test HTTP/1.1"),
        server_gets=("OPTIONS * HTTP/1.1",),
    ),
    Row(
        "9112 §3.2.4",
        "* stays",
        request_line(b"OPTIONS * HTTP/1.1"),
        server_gets=("OPTIONS * HTTP/1.1", "Host: test"),
    ),
    # --- §4, §5 ---
    Row(
        "9112 §4",
        "the space before an absent reason phrase is sent",
        answers=sized(status_line=b"HTTP/1.1 200"),
        client_gets=("HTTP/1.1 200",),
    ),
    refused("9112 §5.1", "white space before a request field's colon", get(b"X : a")),
    bad_gateway("9112 §5.1", "white space before a response field's colon", sized(b"X-Evil : a")),
    refused("9112 §5.2", "obs-fold in a request", get(b"X: a", b" b")),
    refused("9112 §5.2", "obs-fold in request trailers", chunked(b"0\r\nX: a\r\n b\r\n\r\n")),
    bad_gateway("9112 §5.2", "obs-fold in a response", sized(b"X-Evil: a", b"\tb")),
]
