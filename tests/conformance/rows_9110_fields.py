"""RFC 9110 §4 to §6: URIs, fields, message abstraction."""

from conformance.rfc_row import Row, bad_gateway, head, refused, sized
from vectors.http1_row import CHUNKED_HELLO, chunked, get, host, post, request_line

ROWS = [
    # --- §4 ---
    refused("9110 §4.2.1", "http URI with an empty host", request_line(b"GET http:///a HTTP/1.1")),
    refused(
        "9110 §4.2.2", "https URI with an empty host", request_line(b"GET https:///a HTTP/1.1")
    ),
    refused(
        "9110 §4.2.4",
        "userinfo is not sent on",
        request_line(b"GET http://me:secret@test/a HTTP/1.1"),
    ),
    # --- §5.1 to §5.4 ---
    Row(
        "9110 §5.1",
        "unrecognised request fields are forwarded",
        get(b"X-Unheard-Of: a; b=c"),
        server_gets=("X-Unheard-Of: a; b=c",),
    ),
    Row(
        "9110 §5.1",
        "unrecognised response fields are forwarded",
        answers=sized(b"X-Unheard-Of: a; b=c"),
        client_gets=("X-Unheard-Of: a; b=c",),
    ),
    Row(
        "9110 §5.1",
        "field names are case-insensitive: the length is understood",
        post(b"cONTENT-lENGTH: 5"),
        server_gets=("Content-Length: 5",),
        server_body=b"hello",
    ),
    Row(
        "9110 §5.3",
        "the order of request lines of one name stays",
        get(b"X-A: 1", b"X-B: x", b"X-A: 2", b"x-a: 3"),
        server_gets=("X-A: 1", "X-A: 2", "X-A: 3"),
    ),
    Row(
        "9110 §5.3",
        "the order of response lines of one name stays, and Set-Cookie lines stay apart",
        answers=sized(b"Set-Cookie: a=1", b"Vary: a", b"Set-Cookie: b=2", b"Set-Cookie: c=3"),
        client_gets=("Set-Cookie: a=1", "Set-Cookie: b=2", "Set-Cookie: c=3"),
    ),
    Row(
        "9110 §5.3",
        "nothing is applied before the header section is complete",
        b"DELETE / HTTP/1.1\r\nHost: test\r\nIf-Match: ",
        statuses=(),
        forwarded=0,
        half_closes=True,
    ),
    refused("9110 §5.4", "a field that is too large is 4xx", get(b"X: " + b"a" * 17_000), 431),
    refused("9110 §5.4", "too many fields are 4xx", get(*[b"X: a"] * 200), 431),
    # --- §5.5 ---
    Row(
        "9110 §5.5",
        "white space around a value is no part of it",
        post(b"Content-Length: \t 5 \t "),
        server_gets=("Content-Length: 5",),
        server_body=b"hello",
    ),
    Row(
        "9110 §5.5",
        "white space around Host is no part of it",
        host(b" \t test\t "),
        server_gets=("Host: test",),
    ),
    refused("9110 §5.5", "NUL in a request field", get(b"X: a\x00b")),
    refused("9110 §5.5", "LF in a request field", get(b"X: a\nX-Evil: b")),
    refused("9110 §5.5", "CR in a request field", get(b"X: a\rX-Evil: b")),
    bad_gateway("9110 §5.5", "NUL in a response field", sized(b"X: a\x00b")),
    bad_gateway("9110 §5.5", "LF in a response field", sized(b"X: a\nX-Evil: b")),
    bad_gateway("9110 §5.5", "CR in a response field", sized(b"X: a\rX-Evil: b")),
    # --- §5.6 ---
    Row(
        "9110 §5.6.1.2",
        "empty members of a request's list are ignored",
        get(b"Connection: ,, ,close,\t,"),
        closes=True,
        server_lacks=("Connection",),
    ),
    Row(
        "9110 §5.6.1.2",
        "empty members of a response's list are ignored",
        answers=sized(b"Connection: , ,X-Hop,,", b"X-Hop: 1"),
        client_lacks=("X-Hop",),
    ),
    # --- §6 ---
    refused(
        "9110 §6.2",
        "a version that is not spoken is not answered in",
        request_line(b"GET / HTTP/3.0"),
        505,
    ),
    Row(
        "9110 §6.5.1",
        "request trailers are not merged into the headers",
        chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
        server_body=b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
    ),
    Row(
        "9110 §6.5.1",
        "fields that frame or route do not come late",
        chunked(b"5\r\nhello\r\n0\r\nContent-Length: 9\r\nHost: evil\r\n\r\n"),
        server_gets=("Host: test",),
        server_body=CHUNKED_HELLO,
    ),
    Row(
        "9110 §6.5.1",
        "fields that authenticate do not come late",
        chunked(b"5\r\nhello\r\n0\r\nAuthorization: Basic eA==\r\n\r\n"),
        server_body=CHUNKED_HELLO,
    ),
    Row(
        "9110 §6.5.1",
        "response trailers stay out of the headers",
        answers=head(b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\nSet-Cookie: a\r\n\r\n",
        client_body=b"hello",
        client_lacks=("Set-Cookie",),
    ),
    Row(
        "9110 §6.6.1",
        "a response without Date gets one",
        answers=sized(),
        client_gets=("Date: *",),
    ),
    Row(
        "9110 §6.6.1",
        "a Date that is there stays",
        answers=sized(b"Date: Sun, 06 Nov 1994 08:49:37 GMT"),
        client_gets=("Date: Sun, 06 Nov 1994 08:49:37 GMT",),
    ),
]
