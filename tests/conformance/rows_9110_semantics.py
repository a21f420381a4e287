"""RFC 9110 §8 to §15: lengths, methods, context, authentication, conditions, ranges, statuses."""

from conformance.rfc_row import Row, head, refused, sized
from testkit.upstream import OK
from vectors.http1_row import GET, get, post, request_line

CONNECT = b"CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\n\r\n"
HEAD = GET.replace(b"GET", b"HEAD")
HTTP10 = b"GET / HTTP/1.0\r\nHost: test\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = head(b"Link: a", status_line=b"HTTP/1.1 103 Early Hints")
EXPECTING = (b"Expect: 100-continue", b"Content-Length: 5")


def _status(line: bytes) -> bytes:
    return sized(status_line=b"HTTP/1.1 " + line)


ROWS = [
    # --- §8.6 ---
    Row(
        "9110 §8.6",
        "no Content-Length in 204",
        answers=head(b"Content-Length: 5", status_line=b"HTTP/1.1 204 No Content"),
        statuses=(204,),
        client_lacks=("Content-Length",),
    ),
    Row(
        "9110 §8.6",
        "no Content-Length in 1xx",
        answers=head(b"Content-Length: 5", status_line=b"HTTP/1.1 103 Early Hints")
        + head(status_line=b"HTTP/1.1 204 No Content"),
        statuses=(103, 204),
        client_lacks=("Content-Length",),
    ),
    Row(
        "9110 §8.6",
        "no Content-Length in 2xx to CONNECT",
        CONNECT,
        answers=head(b"Content-Length: 5"),
        ends=True,
        closes=True,
        client_lacks=("Content-Length",),
        listener="tunnels",
    ),
    Row(
        "9110 §8.6",
        "the length of a response to HEAD is the one of GET",
        HEAD,
        answers=head(b"Content-Length: 1234567890123"),
        client_gets=("Content-Length: 1234567890123",),
    ),
    Row(
        "9110 §8.6",
        "the length of a 304 is the one of a 200",
        answers=head(b"Content-Length: 5", status_line=b"HTTP/1.1 304 Not Modified"),
        statuses=(304,),
        client_gets=("Content-Length: 5",),
    ),
    Row(
        "9110 §8.6",
        "a length repeated in equal lines is sent once",
        answers=sized(b"Content-Length: 5"),
        client_gets=("Content-Length: 5",),
        client_body=b"hello",
    ),
    refused("9110 §8.6", "lengths beyond all integers", post(b"Content-Length: " + b"9" * 40)),
    # --- §9 ---
    Row(
        "9110 §9.1",
        "methods are case-sensitive",
        request_line(b"gEt / HTTP/1.1"),
        server_gets=("gEt / HTTP/1.1",),
    ),
    Row(
        "9110 §9.2.2",
        "what is not idempotent is not repeated",
        post(b"Content-Length: 5"),
        resets=True,
        statuses=(502,),
        listener="retrying",
    ),
    Row(
        "9110 §9.3.2",
        "content of a response to HEAD is not sent",
        HEAD,
        answers=sized(),
        client_body=b"",
        server_connections=2,
    ),
    refused("9110 §9.3.6", "CONNECT with an empty port", request_line(b"CONNECT test: HTTP/1.1")),
    refused(
        "9110 §9.3.6",
        "CONNECT with an invalid port",
        b"CONNECT test:65536 HTTP/1.1\r\nHost: test:65536\r\n\r\n",
    ),
    Row(
        "9110 §9.3.6",
        "what is outstanding when a side closes is delivered, then both are closed",
        CONNECT,
        answers=head() + b"outstanding",
        ends=True,
        closes=True,
        client_body=b"outstanding",
        listener="tunnels",
    ),
    # --- §10 ---
    Row(
        "9110 §10.1.1",
        "an expectation of HTTP/1.0 is ignored",
        post(*EXPECTING).replace(b"HTTP/1.1", b"HTTP/1.0"),
        closes=True,
        server_lacks=("Expect",),
        server_body=b"hello",
    ),
    Row(
        "9110 §10.1.1",
        "an expectation is forwarded with the head, before the content is here",
        post(*EXPECTING, body=b""),
        answers=_status(b"417 Expectation Failed"),
        early=True,
        statuses=(417,),
        closes=True,
        server_gets=("Expect: 100-continue",),
    ),
    Row(
        "9110 §10.1.1",
        "100 is followed by a final status",
        post(*EXPECTING),
        answers=CONTINUE + OK,
        statuses=(100, 200),
        server_body=b"hello",
    ),
    Row(
        "9110 §10.1.4",
        "TE goes no further",
        get(b"Connection: TE", b"TE: trailers"),
        server_lacks=("TE",),
    ),
    Row(
        "9110 §10.2.1",
        "Allow is not changed",
        answers=sized(b"Allow: GET, BREW,PUT", status_line=b"HTTP/1.1 405 Method Not Allowed"),
        statuses=(405,),
        client_gets=("Allow: GET, BREW,PUT",),
    ),
    # --- §11, §12 ---
    Row(
        "9110 §11.6.1",
        "WWW-Authenticate is not changed",
        answers=sized(
            b'WWW-Authenticate: Basic realm="a, b"',
            b'WWW-Authenticate: Digest nonce="x==", qop=auth',
            status_line=b"HTTP/1.1 401 Unauthorized",
        ),
        statuses=(401,),
        client_gets=(
            'WWW-Authenticate: Basic realm="a, b"',
            'WWW-Authenticate: Digest nonce="x==", qop=auth',
        ),
    ),
    Row(
        "9110 §11.6.2",
        "Authorization is not changed",
        get(b'Authorization: Digest username="a\\"b", uri="/",nc=1'),
        server_gets=('Authorization: Digest username="a\\"b", uri="/",nc=1',),
    ),
    Row(
        "9110 §11.7.1",
        "Proxy-Authenticate is for the next client only",
        answers=sized(b"Proxy-Authenticate: Basic"),
        client_lacks=("Proxy-Authenticate",),
    ),
    Row(
        "9110 §12.5.5",
        "no * is put into Vary",
        answers=sized(b"Vary: Accept-Encoding"),
        client_gets=("Vary: Accept-Encoding",),
    ),
    # --- §13 ---
    Row(
        "9110 §13.2.1",
        "conditions are forwarded",
        get(
            b'If-Match: "a"',
            b'If-None-Match: W/"b"',
            b"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
            b"If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
            b'If-Range: "a"',
        ),
        server_gets=(
            'If-Match: "a"',
            'If-None-Match: W/"b"',
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
            "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
            'If-Range: "a"',
        ),
    ),
    Row(
        "9110 §13.2.1",
        "conditions are not evaluated",
        get(b'If-None-Match: "a"'),
        answers=sized(b'ETag: "a"'),
        client_gets=('ETag: "a"',),
        client_body=b"hello",
    ),
    Row(
        "9110 §15.3.7",
        "a part says which it is",
        get(b"Range: bytes=2-6"),
        server_gets=("Range: bytes=2-6",),
        answers=sized(b"Content-Range: bytes 2-6/9", status_line=b"HTTP/1.1 206 Partial Content"),
        statuses=(206,),
        client_gets=("Content-Range: bytes 2-6/9",),
    ),
    # --- §15 ---
    Row(
        "9110 §15",
        "an unknown status counts as its class",
        answers=_status(b"499 X"),
        statuses=(499,),
    ),
    Row(
        "9110 §15.2",
        "1xx are forwarded, all in order",
        answers=HINTS + HINTS + OK,
        statuses=(103, 103, 200),
    ),
    Row(
        "9110 §15.2",
        "unknown 1xx are forwarded",
        answers=head(b"X-A: b", status_line=b"HTTP/1.1 199 X") + OK,
        statuses=(199, 200),
    ),
    Row("9110 §15.2", "no 1xx to HTTP/1.0", HTTP10, answers=HINTS + OK, closes=True),
    Row(
        "9110 §15.3.5",
        "204 ends with its head",
        answers=head(status_line=b"HTTP/1.1 204 No Content") + b"hello",
        statuses=(204,),
        server_connections=2,
    ),
    Row(
        "9110 §15.4.5",
        "304 keeps what updates a cache",
        get(b'If-None-Match: "a"'),
        answers=head(
            b'ETag: "a"',
            b"Vary: b",
            b"Cache-Control: max-age=1",
            status_line=b"HTTP/1.1 304 Not Modified",
        ),
        statuses=(304,),
        client_gets=('ETag: "a"', "Vary: b", "Cache-Control: max-age=1"),
    ),
    Row(
        "9110 §15.5.20",
        "no 421 from a proxy: who serves another host says 404",
        request_line(b"GET / HTTP/1.1"),
        statuses=(404,),
        forwarded=0,
        listener="hosts",
    ),
    Row(
        "9110 §15.5.6",
        "405 of our own says what is allowed",
        post(body=b""),
        statuses=(405,),
        forwarded=0,
        client_gets=("Allow: GET, OPTIONS",),
        listener="methods",
    ),
]
