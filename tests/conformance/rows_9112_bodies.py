"""RFC 9112 §6 to §8: Transfer-Encoding, Content-Length, chunks, incomplete messages."""

from conformance.rfc_row import Row, bad_gateway, head, refused, sized
from vectors.http1_row import CHUNKED_HELLO, GET, chunked, get, post

CONNECT = b"CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"


def coded(coding: bytes, *lines: bytes) -> bytes:
    return post(b"Transfer-Encoding: " + coding, *lines, body=CHUNKED_HELLO)


def in_chunks(body: bytes = CHUNKED_HELLO) -> bytes:
    return head(CHUNKED) + body


ROWS = [
    # --- §6.1 ---
    Row(
        "9112 §6.1",
        "chunked requests are understood, and chunked once when forwarded",
        chunked(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        server_gets=("Transfer-Encoding: chunked",),
        server_lacks=("Content-Length",),
    ),
    Row("9112 §6.1", "chunked responses are understood", answers=in_chunks(), client_body=b"hello"),
    Row(
        "9112 §7",
        "the names of codings are case-insensitive",
        coded(b"ChunKED"),
        server_gets=("Transfer-Encoding: chunked",),
    ),
    refused("9112 §6.1", "chunked twice", coded(b"chunked, chunked")),
    Row(
        "9112 §6.1",
        "no Transfer-Encoding in 1xx",
        answers=head(CHUNKED, status_line=b"HTTP/1.1 103 Early Hints") + sized(),
        statuses=(103, 200),
        client_lacks=("Transfer-Encoding",),
    ),
    Row(
        "9112 §6.1",
        "no Transfer-Encoding in 204",
        answers=head(CHUNKED, status_line=b"HTTP/1.1 204 No Content"),
        statuses=(204,),
        client_lacks=("Transfer-Encoding",),
    ),
    Row(
        "9112 §6.1",
        "no Transfer-Encoding in 2xx to CONNECT",
        CONNECT,
        answers=head(CHUNKED),
        ends=True,
        closes=True,
        client_lacks=("Transfer-Encoding",),
        listener="tunnels",
    ),
    Row(
        "9112 §6.1",
        "no Transfer-Encoding to HTTP/1.0",
        b"GET / HTTP/1.0\r\nHost: test\r\n\r\n",
        answers=in_chunks(),
        closes=True,
        client_lacks=("Transfer-Encoding",),
        client_body=b"hello",
    ),
    refused(
        "9112 §6.1",
        "Transfer-Encoding in an HTTP/1.0 request",
        coded(b"chunked").replace(b"1.1", b"1.0"),
    ),
    bad_gateway(
        "9112 §6.1",
        "Transfer-Encoding in an HTTP/1.0 response",
        head(CHUNKED, status_line=b"HTTP/1.0 200 OK") + CHUNKED_HELLO,
    ),
    refused(
        "9112 §6.1",
        "the connection closes after Content-Length with Transfer-Encoding",
        coded(b"chunked", b"Content-Length: 5"),
    ),
    bad_gateway("9112 §6.2", "no Content-Length with Transfer-Encoding", sized(CHUNKED)),
    # --- §6.3 ---
    refused("9112 §6.3", "chunked is not the final coding", coded(b"chunked, gzip")),
    refused("9112 §6.3", "no final chunked at all", coded(b"gzip")),
    refused("9112 §6.3", "an invalid Content-Length in a request", post(b"Content-Length: 5x")),
    refused(
        "9112 §6.3",
        "differing lengths in a request",
        post(b"Content-Length: 5", b"Content-Length: 6"),
    ),
    refused("9112 §6.3", "a list of differing lengths in a request", post(b"Content-Length: 5, 6")),
    bad_gateway(
        "9112 §6.3", "an invalid Content-Length in a response", head(b"Content-Length: 5x")
    ),
    bad_gateway("9112 §6.3", "differing lengths in a response", sized(b"Content-Length: 6")),
    bad_gateway(
        "9112 §6.3", "a list of differing lengths in a response", head(b"Content-Length: 5, 6")
    ),
    Row(
        "9112 §6.3",
        "what HEAD is answered with ends with the head, though it says chunked",
        GET.replace(b"GET", b"HEAD"),
        answers=head(CHUNKED),
        client_body=b"",
    ),
    Row(
        "9112 §6.3",
        "304 ends with the head, though it says chunked",
        answers=head(CHUNKED, status_line=b"HTTP/1.1 304 Not Modified"),
        statuses=(304,),
    ),
    Row(
        "9112 §6.3",
        "after 2xx to CONNECT comes the tunnel, whatever length is said",
        CONNECT,
        answers=head(b"Content-Length: 2") + b"tunnelled",
        ends=True,
        closes=True,
        client_body=b"tunnelled",
        listener="tunnels",
    ),
    Row(
        "9112 §6.3",
        "a request without both has no body",
        post(body=b"") + GET,
        statuses=(200, 200),
        forwarded=2,
    ),
    Row(
        "9112 §6.3",
        "a response without both lasts until the connection closes",
        answers=head() + b"hello",
        ends=True,
        client_body=b"hello",
        server_connections=2,
    ),
    Row(
        "9112 §6.3",
        "a request that ends before its length is incomplete, and the connection closes",
        post(b"Content-Length: 9"),
        statuses=(),
        forwarded=0,
        half_closes=True,
    ),
    Row(
        "9112 §6.3",
        "a response that ends before its length is incomplete",
        answers=head(b"Content-Length: 9") + b"hello",
        ends=True,
        cut=True,
    ),
    Row(
        "9112 §6.3",
        "data behind a response is no response",
        answers=sized() + sized(b"X-Evil: a"),
        client_body=b"hello",
        client_lacks=("X-Evil",),
        server_connections=2,
    ),
    # --- §7 ---
    refused("9112 §7.1", "a chunk's size beyond all integers", chunked(b"f" * 20 + b"\r\nhello")),
    Row(
        "9112 §7.1",
        "a response chunk's size beyond all integers",
        answers=in_chunks(b"f" * 20 + b"\r\n"),
        cut=True,
    ),
    refused("9112 §7.1", "a chunk's size that is none", chunked(b"0x5\r\nhello\r\n0\r\n\r\n")),
    refused("9112 §7.1", "data longer than its chunk", chunked(b"4\r\nhello\r\n0\r\n\r\n")),
    Row(
        "9112 §7.1.1",
        "unknown extensions of request chunks are ignored",
        chunked(b'5;a="b;c";d\r\nhello\r\n0;e\r\n\r\n'),
        server_body=CHUNKED_HELLO,
    ),
    Row(
        "9112 §7.1.1",
        "unknown extensions of response chunks are ignored",
        answers=in_chunks(b'5;a="b;c";d\r\nhello\r\n0;e\r\n\r\n'),
        client_body=b"hello",
    ),
    Row(
        "9112 §7.1.2",
        "trailers are forwarded apart from the header fields",
        get(b"TE: trailers", b"Connection: TE"),
        answers=in_chunks(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
        client_body=b"hello",
        client_gets=("Transfer-Encoding: chunked",),
    ),
    # --- §8 ---
    Row(
        "9112 §8",
        "a chunked request without its last chunk is incomplete",
        chunked(b"5\r\nhello\r\n"),
        statuses=(),
        forwarded=0,
        half_closes=True,
    ),
    Row(
        "9112 §8",
        "a chunked response without its last chunk is incomplete",
        answers=in_chunks(b"5\r\nhello\r\n"),
        ends=True,
        cut=True,
    ),
    Row(
        "9112 §8",
        "a chunked response without the end of its trailers is incomplete",
        answers=in_chunks(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n"),
        ends=True,
        cut=True,
    ),
]
