"""RFC 9110 §7: Host, Connection, Max-Forwards, Via, transformations, Upgrade."""

from conformance.rfc_row import ANY_4XX, ANY_FINAL, Row, bad_gateway, head, refused, sized
from vectors.http1_row import chunked, get, host, post, request_line


def _asking(method: bytes, *lines: bytes) -> bytes:
    return get(*lines).replace(b"GET", method, 1)


def _target(target: str, rule: str) -> Row:
    return Row(
        "9110 §7.7",
        rule,
        request_line(f"GET {target} HTTP/1.1".encode()),
        server_gets=(f"GET {target} HTTP/1.1",),
    )


UPGRADE = (b"Connection: Upgrade", b"Upgrade: chat")
SWITCHING = b"HTTP/1.1 101 Switching Protocols"

ROWS = [
    # --- §7.4 ---
    refused(
        "9110 §7.4",
        "an https resource is not served over a plain connection",
        request_line(b"GET https://test/ HTTP/1.1"),
        ANY_4XX,
    ),
    # --- §7.6.1 ---
    Row(
        "9110 §7.6.1",
        "request fields named by Connection, and itself, end here",
        get(b"Connection: X-Hop", b"X-Hop: 1", b"X-Stay: 2"),
        server_gets=("X-Stay: 2",),
        server_lacks=("X-Hop", "Connection"),
    ),
    Row(
        "9110 §7.6.1",
        "options are case-insensitive, and of several lines",
        get(b"Connection: keep-alive", b"X-One: 1", b"Connection: x-TWO, x-ONE", b"X-Two: 2"),
        server_lacks=("X-One", "X-Two", "Connection"),
    ),
    Row(
        "9110 §7.6.1",
        "request trailers named by Connection end here",
        chunked(b"5\r\nhello\r\n0\r\nX-Hop: 1\r\nX-Stay: 2\r\n\r\n").replace(
            b"\r\n\r\n", b"\r\nConnection: X-Hop\r\n\r\n", 1
        ),
        server_body=b"5\r\nhello\r\n0\r\nX-Stay: 2\r\n\r\n",
        server_lacks=("X-Hop", "Connection"),
    ),
    Row(
        "9110 §7.6.1",
        "response fields named by Connection, and itself, end here",
        answers=sized(b"Connection: X-Hop", b"X-Hop: 1", b"X-Stay: 2"),
        client_gets=("X-Stay: 2",),
        client_lacks=("X-Hop", "Connection"),
    ),
    Row(
        "9110 §7.6.1",
        "response trailers named by Connection end here",
        answers=head(b"Connection: X-Hop", b"Transfer-Encoding: chunked")
        + b"5\r\nhello\r\n0\r\nX-Hop: 1\r\n\r\n",
        client_body=b"hello",
        client_lacks=("X-Hop", "Connection"),
    ),
    Row(
        "9110 §7.6.1",
        "interim responses, too",
        answers=head(b"Connection: X-Hop", b"X-Hop: 1", status_line=b"HTTP/1.1 103 Early Hints")
        + sized(),
        statuses=(103, 200),
        client_lacks=("X-Hop", "Connection"),
    ),
    Row(
        "9110 §7.6.1",
        "what is known to be for one connection ends here, though nothing names it",
        get(b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"TE: trailers"),
        server_lacks=("Keep-Alive", "Proxy-Connection", "TE"),
    ),
    # --- §7.6.2 ---
    Row(
        "9110 §7.6.2",
        "OPTIONS with Max-Forwards: 0 is answered here",
        _asking(b"OPTIONS", b"Max-Forwards: 0"),
        statuses=(ANY_FINAL,),
        forwarded=0,
    ),
    Row(
        "9110 §9.3.7",
        "OPTIONS that is answered here says what is allowed",
        _asking(b"OPTIONS", b"Max-Forwards: 0"),
        forwarded=0,
        client_gets=("Allow: GET, OPTIONS", "Content-Length: 0"),
        listener="methods",
    ),
    Row(
        "9110 §7.6.2",
        "TRACE with Max-Forwards: 0 is answered here",
        _asking(b"TRACE", b"Max-Forwards: 0"),
        statuses=(ANY_FINAL,),
        forwarded=0,
    ),
    Row(
        "9110 §7.6.2",
        "OPTIONS with more loses one",
        _asking(b"OPTIONS", b"Max-Forwards: 5"),
        server_gets=("Max-Forwards: 4",),
    ),
    Row(
        "9110 §7.6.2",
        "TRACE with more loses one",
        _asking(b"TRACE", b"Max-Forwards: 1"),
        server_gets=("Max-Forwards: 0",),
    ),
    Row(
        "9110 §9.3.7",
        "no Max-Forwards is made up",
        _asking(b"OPTIONS"),
        server_lacks=("Max-Forwards",),
    ),
    # --- §7.6.3 ---
    Row("9110 §7.6.3", "requests get Via", server_gets=("Via: 1.1 edge",)),
    Row(
        "9110 §7.6.3",
        "Via is continued at its end, members with other versions stay apart",
        get(b"Via: 1.0 first, 1.1 second"),
        server_gets=("Via: 1.0 first, 1.1 second, 1.1 edge",),
    ),
    Row(
        "9110 §7.6.3",
        "Via names the version that was received",
        b"GET / HTTP/1.0\r\nHost: test\r\n\r\n",
        server_gets=("Via: 1.0 edge",),
        closes=True,
    ),
    Row(
        "9110 §7.6.3",
        "Via of a response names its own version",
        answers=sized(status_line=b"HTTP/1.0 200 OK"),
        client_gets=("Via: 1.0 edge",),
        server_connections=2,
    ),
    # --- §7.7 ---
    Row(
        "9110 §7.7",
        "the host name is not changed",
        host(b"WWW.Example.Test:81"),
        server_gets=("Host: WWW.Example.Test:81",),
    ),
    _target("/a//b/;c=d,e/~f/:g@h/!$&'()*+=", "the path is not changed"),
    _target("/a%2Fb%3Fc%23d%25e", "escapes of reserved bytes stay"),
    _target("/a?b=%2e%2e/../&c=/./&d=%7E", "the query is not changed"),
    _target("/a?", "an empty query stays"),
    _target("/a?b?c?", "a question mark in the query stays"),
    Row(
        "9110 §7.7",
        "content marked no-transform is not changed",
        get(b"Accept-Encoding: gzip, br"),
        answers=head(
            b"Cache-Control: no-transform", b"Content-Type: text/plain", b"Content-Length: 8"
        )
        + b"a" * 8,
        client_gets=("Content-Length: 8", "Cache-Control: no-transform"),
        client_lacks=("Content-Encoding",),
        client_body=b"a" * 8,
    ),
    # --- §7.8 ---
    Row(
        "9110 §7.8",
        "Upgrade in HTTP/1.0 is ignored",
        get(*UPGRADE).replace(b"HTTP/1.1", b"HTTP/1.0"),
        server_lacks=("Upgrade", "Connection"),
        closes=True,
    ),
    Row(
        "9110 §7.8",
        "Upgrade that Connection does not name is not meant for the next hop",
        get(b"Upgrade: chat"),
        server_lacks=("Upgrade",),
    ),
    Row(
        "9110 §7.8",
        "a sender of Upgrade sends the connection option",
        get(*UPGRADE),
        server_gets=("Upgrade: chat", "Connection: upgrade"),
    ),
    Row(
        "9110 §7.8",
        "101 says to what",
        get(*UPGRADE),
        answers=head(*UPGRADE, status_line=SWITCHING),
        statuses=(101,),
        ends=True,
        closes=True,
        client_gets=("Upgrade: chat", "Connection: upgrade"),
    ),
    Row(
        "9110 §7.8",
        "no switch to what was not offered",
        get(*UPGRADE),
        answers=head(b"Connection: Upgrade", b"Upgrade: evil", status_line=SWITCHING),
        statuses=(502,),
        closes=True,
    ),
    Row(
        "9110 §7.8",
        "no switch that names nothing",
        get(*UPGRADE),
        answers=head(b"Connection: Upgrade", status_line=SWITCHING),
        statuses=(502,),
        closes=True,
    ),
    bad_gateway(
        "9110 §7.8", "no switch that nobody asked for", head(*UPGRADE, status_line=SWITCHING)
    ),
    Row(
        "9110 §7.8",
        "426 says what is required",
        answers=sized(*UPGRADE, status_line=b"HTTP/1.1 426 Upgrade Required"),
        statuses=(426,),
        client_gets=("Upgrade: chat", "Connection: upgrade"),
    ),
    Row(
        "9110 §7.8",
        "no advice to upgrade to what is not offered on",
        answers=sized(b"Connection: Upgrade", b"Upgrade: h2,h2c"),
        client_lacks=("Upgrade", "Connection"),
    ),
    Row(
        "9110 §7.8",
        "advice that Connection does not name is not meant for the next hop",
        answers=sized(b"Upgrade: chat"),
        client_lacks=("Upgrade", "Connection"),
    ),
    Row(
        "9110 §7.8",
        "an upgrade waits for the request's end",
        post(*UPGRADE, b"Content-Length: 5"),
        server_body=b"hello",
    ),
]
