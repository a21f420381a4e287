"""Content-Length, Transfer-Encoding and chunks: the verdict on each.

A part of ``http1_requests.py``, which tells how to read it.
"""

from vectors.http1_row import CHUNKED_HELLO, chunked, get, passed, post, refused

LENGTHS = [
    *passed(
        "RFC 9110 §8.6",
        {
            "Content-Length": post(b"Content-Length: 5"),
            "Content-Length 0": post(b"Content-Length: 0", body=b""),
            "leading zeros": post(b"Content-Length: 0005"),
            "spaces around the length": post(b"Content-Length: \t 5 \t"),
            "POST without a length has no body": post(body=b""),
            "GET with a body": get(b"Content-Length: 5") + b"hello",
            "length in odd case": post(b"cOnTeNt-LeNgTh: 5"),
        },
    ),
    *refused(
        "RFC 9110 §8.6",
        "bad_content_length",
        {
            "empty length": post(b"Content-Length:"),
            "plus sign": post(b"Content-Length: +5"),
            "negative length": post(b"Content-Length: -1"),
            "hexadecimal length": post(b"Content-Length: 0x5"),
            "space within the length": post(b"Content-Length: 5 5"),
            "decimal point": post(b"Content-Length: 5.0"),
            "exponent": post(b"Content-Length: 1e1"),
            "semicolon after the length": post(b"Content-Length: 5;"),
            "letters": post(b"Content-Length: five"),
            "quoted length": post(b'Content-Length: "5"'),
            "full-width digit": post("Content-Length: \uff15".encode()),
            "2^63": post(b"Content-Length: 9223372036854775808"),
            "2^64 + 5, which wraps to 5": post(b"Content-Length: 18446744073709551621"),
            "a hundred digits": post(b"Content-Length: " + b"5" * 100),
        },
    ),
    *refused(
        "RFC 9112 §6.3",
        "repeated_content_length",
        {
            "two different lengths": post(b"Content-Length: 5", b"Content-Length: 6"),
            "the same length twice (allowed to be collapsed; refused)": post(
                b"Content-Length: 5", b"Content-Length: 5"
            ),
            "two lengths in other case": post(b"Content-Length: 5", b"CONTENT-LENGTH: 0"),
            "list of different lengths": post(b"Content-Length: 5, 6"),
            "list of the same length": post(b"Content-Length: 5, 5"),
            "list with an empty member": post(b"Content-Length: 5,"),
        },
    ),
]

CODINGS = [
    *passed(
        "RFC 9112 §6.1",
        {
            "chunked": chunked(CHUNKED_HELLO),
            "chunked in odd case": post(b"Transfer-Encoding: cHuNkEd", body=CHUNKED_HELLO),
            "spaces and tabs around chunked": post(
                b"Transfer-Encoding: \t chunked \t", body=CHUNKED_HELLO
            ),
            "field name in odd case": post(b"tRANSFER-eNCODING: chunked", body=CHUNKED_HELLO),
        },
    ),
    *refused(
        "RFC 9112 §6.1",
        "length_and_transfer_encoding",
        {
            "length, then chunked": post(
                b"Content-Length: 5", b"Transfer-Encoding: chunked", body=CHUNKED_HELLO
            ),
            "chunked, then length": post(
                b"Transfer-Encoding: chunked", b"Content-Length: 5", body=CHUNKED_HELLO
            ),
            "chunked and length 0": post(
                b"Content-Length: 0", b"Transfer-Encoding: chunked", body=CHUNKED_HELLO
            ),
        },
    ),
    *refused(
        "RFC 9112 §6.1",
        "bad_transfer_encoding",
        {
            "chunked twice in a list": post(b"Transfer-Encoding: chunked, chunked"),
            "chunked twice in two lines": post(
                b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"
            ),
            "chunked is not last": post(b"Transfer-Encoding: chunked, gzip"),
            "empty coding": post(b"Transfer-Encoding:"),
            "comma only": post(b"Transfer-Encoding: ,"),
            "comma before chunked": post(b"Transfer-Encoding: , chunked"),
            "comma after chunked": post(b"Transfer-Encoding: chunked,"),
            "quoted chunked": post(b'Transfer-Encoding: "chunked"'),
            "parameter of chunked": post(b"Transfer-Encoding: chunked;q=1"),
            "space within chunked": post(b"Transfer-Encoding: chun ked"),
            "two codings without a comma": post(b"Transfer-Encoding: gzip chunked"),
            "Kelvin sign for k": post("Transfer-Encoding: chun\u212aed".encode()),
            "xchunked": post(b"Transfer-Encoding: xchunked"),
            "chunkedx": post(b"Transfer-Encoding: chunkedx"),
            "identity": post(b"Transfer-Encoding: identity"),
            "gzip only": post(b"Transfer-Encoding: gzip"),
        },
    ),
    *refused(
        "RFC 9112 §6.1",
        "unknown_transfer_encoding",
        {
            "gzip, then chunked": post(b"Transfer-Encoding: gzip, chunked"),
            "identity, then chunked": post(b"Transfer-Encoding: identity, chunked"),
        },
    ),
    *refused(
        "RFC 9112 §6.1",
        "transfer_encoding_in_http10",
        {
            "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: test\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED_HELLO,
        },
    ),
]

CHUNKS = [
    *passed(
        "RFC 9112 §7.1",
        {
            "two chunks": chunked(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
            "no data": chunked(b"0\r\n\r\n"),
            "hexadecimal size in both cases": chunked(
                b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"
            ),
            "leading zeros of the size": chunked(b"0005\r\nhello\r\n000\r\n\r\n"),
            "extension": chunked(b"5;name=value\r\nhello\r\n0\r\n\r\n"),
            "quoted extension": chunked(b'5;name="a b"\r\nhello\r\n0;last\r\n\r\n'),
            "trailer": chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-End: 2\r\n\r\n"),
            "trailer that would frame is dropped": chunked(
                b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"
            ),
        },
    ),
    *refused(
        "RFC 9112 §7.1",
        "bad_chunk_size",
        {
            "empty size": chunked(b"\r\nhello\r\n0\r\n\r\n"),
            "space before the size": chunked(b" 5\r\nhello\r\n0\r\n\r\n"),
            "space after the size": chunked(b"5 \r\nhello\r\n0\r\n\r\n"),
            "tab after the size": chunked(b"5\t\r\nhello\r\n0\r\n\r\n"),
            "size with 0x": chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
            "negative size": chunked(b"-5\r\nhello\r\n0\r\n\r\n"),
            "size with a plus sign": chunked(b"+5\r\nhello\r\n0\r\n\r\n"),
            "size with an underscore": chunked(b"0_5\r\nhello\r\n0\r\n\r\n"),
            "size that is no number": chunked(b"g\r\nhello\r\n0\r\n\r\n"),
            "size of 2^64 - 1": chunked(b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
            "size of 2^63": chunked(b"8000000000000000\r\nhello\r\n0\r\n\r\n"),
            "size of 2^64 + 5, which wraps to 5": chunked(
                b"10000000000000005\r\nhello\r\n0\r\n\r\n"
            ),
            "size of many zeros": chunked(b"0" * 17 + b"5\r\nhello\r\n0\r\n\r\n"),
            "bare LF after the size": chunked(b"5\nhello\r\n0\r\n\r\n"),
            "bare CR after the size": chunked(b"5\rhello\r\n0\r\n\r\n"),
            "NUL after the size": chunked(b"5\x00\r\nhello\r\n0\r\n\r\n"),
            "semicolon only": chunked(b";a\r\nhello\r\n0\r\n\r\n"),
            "bad size after a good chunk": chunked(b"5\r\nhello\r\nx\r\n0\r\n\r\n"),
            "bare CR in an extension": chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
        },
    ),
    *refused(
        "RFC 9112 §7.1.1",
        "bad_chunk_extension",
        {
            "bare LF in an extension": chunked(b"5;a\nhello\r\n0\r\n\r\n"),
            "NUL in an extension": chunked(b"5;a\x00\r\nhello\r\n0\r\n\r\n"),
            "DEL in an extension": chunked(b"5;a\x7f\r\nhello\r\n0\r\n\r\n"),
            "bare LF in the last extension": chunked(b"5\r\nhello\r\n0;a\n\r\n\r\n"),
            "extension too long": chunked(b"5;" + b"a" * 5_000 + b"\r\nhello\r\n0\r\n\r\n"),
        },
    ),
    *refused(
        "RFC 9112 §7.1",
        "bad_chunk_end",
        {
            "data longer than the size": chunked(b"4\r\nhello\r\n0\r\n\r\n"),
            "data shorter than the size": chunked(b"6\r\nhello\r\n0\r\n\r\n"),
            "no CRLF after the data": chunked(b"5\r\nhello0\r\n\r\n"),
            "bare LF after the data": chunked(b"5\r\nhello\n0\r\n\r\n"),
            "bare CR after the data": chunked(b"5\r\nhello\r0\r\n\r\n"),
        },
    ),
    *refused(
        "RFC 9112 §7.1.2",
        "bad_trailer",
        {
            "trailer without a colon": chunked(b"0\r\nX-Sum\r\n\r\n"),
            "space before the colon of a trailer": chunked(b"0\r\nX-Sum : 1\r\n\r\n"),
            "trailer with an empty name": chunked(b"0\r\n: 1\r\n\r\n"),
            "trailer continued": chunked(b"0\r\nX-Sum: 1\r\n 2\r\n\r\n"),
            "space before the first trailer": chunked(b"0\r\n X-Sum: 1\r\n\r\n"),
            "bare CR in a trailer": chunked(b"0\r\nX-Sum: 1\rA: b\r\n\r\n"),
            "NUL in a trailer": chunked(b"0\r\nX-Sum: \x00\r\n\r\n"),
            "request where trailers are due": chunked(b"0\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n"),
        },
    ),
    *refused(
        "RFC 9112 §2.2",
        "bad_line_ending",
        {
            "bare LF after a trailer": chunked(b"0\r\nX-Sum: 1\n\r\n"),
            "bare LF as the end of the body": chunked(b"5\r\nhello\r\n0\r\n\n"),
        },
    ),
    *refused(
        "RFC 6585 §5",
        "trailers_too_large",
        {
            "one long trailer": chunked(b"0\r\nX-Sum: " + b"1" * 9_000 + b"\r\n\r\n"),
            "many trailers": chunked(b"0\r\n" + b"X-Sum: 1\r\n" * 200 + b"\r\n"),
        },
    ),
]
