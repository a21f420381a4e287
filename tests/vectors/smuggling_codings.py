"""Attempts to smuggle a request past a proxy by how ``Transfer-Encoding`` is written.

Each way of writing it comes with three bodies. If one server sees the coding and the next does not,
one of them reads ``GET /smuggled`` as a request of its own:

- ``CL.TE``: Content-Length covers all, chunks would end before the smuggled request;
- ``TE.CL``: chunks cover all, Content-Length would end before it;
- ``TE.0``: chunks only, without the coding there is no body.

Collected from the published attacks: CL.TE, TE.CL and TE.TE (Kettle 2019), CVE-2019-20444,
CVE-2020-11724, CVE-2021-33193, CVE-2022-24761, CVE-2023-25690 and the lists of smuggler.py.
No verdict is given: whatever is forwarded must be read the same by all (tests/conformance).
"""

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"

_PLAIN = b"Transfer-Encoding: chunked"

# The lines between Host and the empty line, without the last CRLF.
CODINGS = {
    "plain": _PLAIN,
    "upper case": b"TRANSFER-ENCODING: CHUNKED",
    "odd case": b"tRaNsFeR-eNcOdInG: cHuNkEd",
    "no space": b"Transfer-Encoding:chunked",
    "two spaces": b"Transfer-Encoding:  chunked",
    "tab": b"Transfer-Encoding:\tchunked",
    "tab and space at the end": b"Transfer-Encoding: chunked\t ",
    "vertical tab": b"Transfer-Encoding:\x0bchunked",
    "form feed": b"Transfer-Encoding:\x0cchunked",
    "vertical tab at the end": b"Transfer-Encoding: chunked\x0b",
    "form feed at the end": b"Transfer-Encoding: chunked\x0c",
    "NUL at the end": b"Transfer-Encoding: chunked\x00",
    "NUL before": b"Transfer-Encoding: \x00chunked",
    "DEL at the end": b"Transfer-Encoding: chunked\x7f",
    "backspace": b"Transfer-Encoding: chunkedx\x08",
    "no-break space of Latin-1": b"Transfer-Encoding: \xa0chunked",
    "no-break space of UTF-8": b"Transfer-Encoding: \xc2\xa0chunked",
    "byte above ASCII before": b"Transfer-Encoding: \xffchunked",
    "byte above ASCII within": b"Transfer-Encoding: ch\x96nked",
    "space before the colon": b"Transfer-Encoding : chunked",
    "tab before the colon": b"Transfer-Encoding\t: chunked",
    "vertical tab before the colon": b"Transfer-Encoding\x0b: chunked",
    "NUL before the colon": b"Transfer-Encoding\x00: chunked",
    "no-break space before the colon": b"Transfer-Encoding\xa0: chunked",
    "space before the name": b"X: y\r\n Transfer-Encoding: chunked",
    "tab before the name": b"X: y\r\n\tTransfer-Encoding: chunked",
    "NUL before the name": b"\x00Transfer-Encoding: chunked",
    "byte above ASCII in the name": b"Transf\xe9r-Encoding: chunked",
    "soft hyphen in the name": b"Transfer\xadEncoding: chunked",
    "underscore in the name": b"Transfer_Encoding: chunked",
    "dot in the name": b"Transfer.Encoding: chunked",
    "space in the name": b"Transfer Encoding: chunked",
    "no hyphen in the name": b"TransferEncoding: chunked",
    "two colons": b"Transfer-Encoding:: chunked",
    "equals sign": b"Transfer-Encoding= chunked",
    "no colon": b"Transfer-Encoding chunked",
    "value on the next line": b"Transfer-Encoding:\r\n chunked",
    "value on the next line, tab": b"Transfer-Encoding:\r\n\tchunked",
    "continued by another": b"Transfer-Encoding: chunked\r\n , identity",
    "continues another": b"Transfer-Encoding: identity,\r\n chunked",
    "hidden behind a bare LF": b"X: y\nTransfer-Encoding: chunked",
    "hidden behind a bare CR": b"X: y\rTransfer-Encoding: chunked",
    "hidden behind LF CR": b"X: y\n\rTransfer-Encoding: chunked",
    "hidden behind CR CR LF": b"X: y\r\r\nTransfer-Encoding: chunked",
    "bare LF at the end": b"Transfer-Encoding: chunked\nX: y",
    "bare CR at the end": b"Transfer-Encoding: chunked\rX: y",
    "bare LF after the colon": b"Transfer-Encoding:\nchunked",
    "bare CR after the colon": b"Transfer-Encoding:\rchunked",
    "bare LF before the colon": b"Transfer-Encoding\n: chunked",
    "bare LF in the name": b"Transfer-\nEncoding: chunked",
    "single quotes": b"Transfer-Encoding: 'chunked'",
    "double quotes": b'Transfer-Encoding: "chunked"',
    "semicolon": b"Transfer-Encoding: chunked;",
    "parameter": b"Transfer-Encoding: chunked;q=0.5",
    "comment": b"Transfer-Encoding: chunked (really)",
    "prefix": b"Transfer-Encoding: chunk",
    "longer": b"Transfer-Encoding: chunkedchunked",
    "letter before": b"Transfer-Encoding: xchunked",
    "identity": b"Transfer-Encoding: identity",
    "none": b"Transfer-Encoding: ",
    "comma before": b"Transfer-Encoding: ,chunked",
    "comma after": b"Transfer-Encoding: chunked,",
    "identity before": b"Transfer-Encoding: identity, chunked",
    "identity after": b"Transfer-Encoding: chunked, identity",
    "unknown before": b"Transfer-Encoding: cow, chunked",
    "unknown after": b"Transfer-Encoding: chunked, cow",
    "two words": b"Transfer-Encoding: chunked cow",
    "twice in a list": b"Transfer-Encoding: chunked, chunked",
    "two lines, second unknown": _PLAIN + b"\r\nTransfer-Encoding: cow",
    "two lines, first unknown": b"Transfer-Encoding: cow\r\n" + _PLAIN,
    "two lines, second identity": _PLAIN + b"\r\nTransfer-Encoding: identity",
    "two lines, first identity": b"Transfer-Encoding: identity\r\n" + _PLAIN,
    "two lines, second empty": _PLAIN + b"\r\nTransfer-Encoding:",
    "two lines, both chunked": _PLAIN + b"\r\n" + _PLAIN,
    "two lines, second underscored": _PLAIN + b"\r\nTransfer_Encoding: identity",
    "named by Connection": b"Connection: Transfer-Encoding\r\n" + _PLAIN,
    "named by Connection with close": b"Connection: close, Transfer-Encoding\r\n" + _PLAIN,
    "as a content coding": b"Content-Encoding: chunked",
    "as TE": b"TE: chunked",
    "as TE named by Connection": b"Connection: TE\r\nTE: trailers, chunked",
    "other than a proxy's": b"Proxy-Connection: keep-alive\r\n" + _PLAIN,
}


def _post(*lines: bytes, body: bytes) -> bytes:
    return b"\r\n".join([b"POST /first HTTP/1.1", b"Host: test", *lines, b"", body])


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)


def _bodies(coding: bytes) -> dict[str, bytes]:
    early_end = b"0\r\n\r\n" + SMUGGLED
    late_end = _chunk(SMUGGLED)
    size_line = late_end.index(b"\n") + 1
    return {
        "CL.TE": _post(b"Content-Length: %d" % len(early_end), coding, body=early_end),
        "TE.CL": _post(coding, b"Content-Length: %d" % size_line, body=late_end),
        "TE.0": _post(coding, body=late_end),
    }


ROWS = {
    f"{attack}, coding {name}": raw
    for name, coding in CODINGS.items()
    for attack, raw in _bodies(coding).items()
}
