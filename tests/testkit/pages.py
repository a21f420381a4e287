"""Pages of text that servers of tests answer with, framed in every way that HTTP/1.1 has."""

from testkit.upstream import Script, answer, response

TEXT = "Content-Type: text/plain; charset=utf-8"
CHUNKED = "Transfer-Encoding: chunked"
PAGE = b"".join(b"<li>item %d</li>\n" % number for number in range(400))
_PIECE_SIZES = [1, 10, 1_000, 16_384, 100_000]


def head(*lines: str, status: str = "200 OK") -> bytes:
    """The head of a page."""
    return "\r\n".join([f"HTTP/1.1 {status}", TEXT, *lines, "", ""]).encode()


def page(body: bytes = PAGE, *lines: str, status: str = "200 OK") -> Script:
    """A server that answers with a page, by length, and with these lines besides."""
    typed = lines if any(line.startswith("Content-Type:") for line in lines) else (TEXT, *lines)
    return answer(response(body, status, *typed))


def chunk(piece: bytes) -> bytes:
    """One chunk."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def chunked(body: bytes = PAGE) -> Script:
    """The same in chunks of all sizes."""
    pieces: list[bytes] = []
    at = 0
    while at < len(body):
        size = _PIECE_SIZES[len(pieces) % len(_PIECE_SIZES)]
        pieces.append(body[at : at + size])
        at += size
    return answer(head(CHUNKED) + b"".join(map(chunk, pieces)) + b"0\r\n\r\n")


def until_close(body: bytes = PAGE) -> Script:
    """The same, ended by the connection."""
    return answer(head() + body)
