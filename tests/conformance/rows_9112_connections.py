"""RFC 9112 §9: which response belongs to which request, and how long connections last."""

from conformance.rfc_row import Row, head, refused, sized
from testkit.upstream import OK
from vectors.http1_row import GET, chunked, get, post

HTTP10 = b"GET / HTTP/1.0\r\nHost: test\r\n\r\n"
HINTS = head(b"Link: a", status_line=b"HTTP/1.1 103 Early Hints")


def path(name: str) -> bytes:
    return GET.replace(b"GET /", f"GET /{name}".encode())


ROWS = [
    Row(
        "9112 §9.2",
        "interim responses leave the request outstanding",
        answers=HINTS + sized(),
        statuses=(103, 200),
        client_body=b"hello",
        server_connections=1,
    ),
    Row(
        "9112 §9.2",
        "a response that ends where the next message begins keeps the order of requests",
        path("a") + post(b"Content-Length: 5") + path("b"),
        statuses=(200, 200, 200),
        forwarded=3,
        server_gets=("GET /b HTTP/1.1",),
        server_connections=1,
    ),
    Row("9112 §9.3", "HTTP/1.1 connections persist, on both sides", server_connections=1),
    Row("9112 §9.3", "HTTP/1.0 connections do not", HTTP10, closes=True, server_connections=1),
    Row(
        "9112 §9.3",
        "a server of HTTP/1.0 does not keep its connection",
        answers=sized(status_line=b"HTTP/1.0 200 OK"),
        client_body=b"hello",
        server_connections=2,
    ),
    Row(
        "9112 §9.3",
        "without the whole request body read the connection closes",
        post(b"Content-Length: 99") + GET,
        answers=sized(status_line=b"HTTP/1.1 413 Content Too Large"),
        early=True,
        statuses=(413,),
        closes=True,
        server_connections=2,
    ),
    Row(
        "9112 §9.3",
        "the same with chunks",
        chunked(b"5\r\nhel"),
        answers=sized(status_line=b"HTTP/1.1 413 Content Too Large"),
        early=True,
        statuses=(413,),
        closes=True,
        server_connections=2,
    ),
    Row(
        "9112 §9.3.2",
        "responses come in the order of pipelined requests",
        path("a") + path("b"),
        answers=head(b"Content-Length: 5", b"X-First: 1", status_line=b"HTTP/1.1 404 Not Found")
        + b"hello",
        statuses=(404, 200),
        forwarded=2,
        client_body=b"ok",
    ),
    Row(
        "9112 §9.6",
        "after close nothing more is processed",
        get(b"Connection: close") + path("never"),
        closes=True,
        server_gets=("GET / HTTP/1.1",),
    ),
    Row(
        "9112 §9.6",
        "close is one option among others, in any case",
        get(b"Connection: X-Hop, CLOSE") + path("never"),
        closes=True,
    ),
    refused(
        "9112 §9.6",
        "after a response with close nothing more is processed",
        get(b"X : a") + path("never"),
    ),
    Row(
        "9112 §9.6",
        "a server that says close gets no more requests on that connection",
        answers=sized(b"Connection: close"),
        server_connections=2,
    ),
    Row(
        "9112 §9.6",
        "close of the server is not close of the client",
        answers=sized(b"Connection: close", b"X-Stay: 1"),
        client_gets=("X-Stay: 1",),
        client_lacks=("Connection",),
        server_connections=2,
    ),
    Row(
        "9112 §9.3",
        "an interim response does not end the connection",
        post(b"Expect: 100-continue", b"Content-Length: 5"),
        answers=head(b"Connection: close", status_line=b"HTTP/1.1 100 Continue") + OK,
        statuses=(100, 200),
        client_lacks=("Connection",),
    ),
]
