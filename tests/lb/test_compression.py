"""Compressed responses: who gets which coding, of which responses, and what the head says."""

import gzip
from collections.abc import Iterator, Sequence

import pytest
from hyperframe.frame import SettingsFrame

from testkit import curl
from testkit.client import Response
from testkit.http2_client import Http2Client, head
from testkit.pages import CHUNKED, PAGE, TEXT, chunk, chunked, page, until_close
from testkit.pages import head as page_head
from testkit.site import Program, Site
from testkit.upstream import Upstream, answer, hang, read_request, response, send

CODINGS = ["gzip", "br", "zstd"]
VERSIONS = ["1.1", "2"]
ON = "compression = true"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


def serve(program: Program, upstream: Upstream, keys: str = ON) -> Site:
    """A site whose route has these keys; its server answers with a page until it is told."""
    upstream.script(page())
    made = Site([upstream.port], route=keys)
    program.serve(made)
    return made


@pytest.fixture
def site(program: Program, upstream: Upstream) -> Site:
    return serve(program, upstream)


# --- which coding ---------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("encoding", "coding"),
    [
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=1.0, br;q=0.8, zstd;q=0.5", "gzip"),
        ("zstd;q=0.1, br;q=0.2", "br"),
        ("gzip, *;q=0", "gzip"),
        ("*", "zstd"),
        ("*;q=0.1, zstd;q=0", "br"),
        ("GZIP", "gzip"),
        ("gzip;q=0", None),
        ("identity", None),
        ("identity, gzip;q=0.5", None),
        ("deflate", None),
        (None, None),
    ],
)
def test_what_the_client_wants_most(
    site: Site, version: str, encoding: str | None, coding: str | None
) -> None:
    found = curl.fetch(site.port, version, encoding=encoding)
    assert found.values("Content-Encoding") == ([coding] if coding else [])
    assert found.values("Vary") == ["Accept-Encoding"]
    assert (found.status, found.exit_code, found.body) == (200, 0, PAGE)


@pytest.mark.parametrize(
    ("keys", "coding"),
    [
        ('compression = { codings = ["gzip", "zstd"] }', "gzip"),
        ('compression = { codings = ["br"] }', "br"),
        ("compression = { levels = { zstd = 8 } }", "zstd"),
        ('compression = { min_size = "1MB" }', None),
        ("", None),
    ],
)
def test_what_the_route_says(
    program: Program, upstream: Upstream, keys: str, coding: str | None
) -> None:
    found = curl.fetch(serve(program, upstream, keys).port, "1.1", encoding="zstd, br, gzip")
    assert found.values("Content-Encoding") == ([coding] if coding else [])
    assert found.body == PAGE


@pytest.mark.parametrize("levels", ["gzip = 1, br = 1, zstd = 1", "gzip = 9, br = 6, zstd = 8"])
def test_levels(program: Program, upstream: Upstream, levels: str) -> None:
    site = serve(program, upstream, f"compression = {{ levels = {{ {levels} }} }}")
    for coding in CODINGS:
        assert curl.fetch(site.port, "2", encoding=coding).body == PAGE


# --- which responses ------------------------------------------------------------------------------


def coded(site: Site, method: str = "GET") -> Response:
    """The response to a client that would like gzip."""
    lines = [f"{method} / HTTP/1.1", "Host: a", "Accept-Encoding: gzip", "", ""]
    with site.client() as client:
        return client.request("\r\n".join(lines).encode(), method)


@pytest.mark.parametrize(
    ("content_type", "is_coded"),
    [
        ("text/html", True),
        ("Text/CSS; charset=utf-8", True),
        ("application/json", True),
        ("application/problem+json", True),
        ("image/svg+xml", True),
        ("application/wasm", True),
        ("image/png", False),
        ("video/mp4", False),
        ("application/gzip", False),
        ("application/octet-stream", False),
        ("text/event-stream", False),
        ("application/grpc", False),
    ],
)
def test_types(site: Site, upstream: Upstream, content_type: str, is_coded: bool) -> None:
    upstream.script(page(PAGE, f"Content-Type: {content_type}"))
    found = coded(site)
    assert found.values("Content-Encoding") == (["gzip"] if is_coded else [])
    # Where it never is, no cache has to tell clients apart.
    assert bool(found.values("Vary")) == is_coded


def test_types_of_the_routes_choice(program: Program, upstream: Upstream) -> None:
    """Events and gRPC are not compressed, whatever is listed: they must not wait."""
    types = '["image/*", "application/x-own", "text/event-stream", "application/grpc"]'
    site = serve(program, upstream, f"compression = {{ types = {types} }}")
    found = []
    for content_type in ("image/png", "application/x-own", "text/html", "text/event-stream"):
        upstream.script(page(PAGE, f"Content-Type: {content_type}"))
        found.append(bool(coded(site).values("Content-Encoding")))
    assert found == [True, True, False, False]


def test_without_a_type(site: Site, upstream: Upstream) -> None:
    upstream.script(answer(response(PAGE)))
    assert coded(site).body == PAGE


@pytest.mark.parametrize(("size", "is_coded"), [(511, False), (512, True)])
def test_least_size(site: Site, upstream: Upstream, size: int, is_coded: bool) -> None:
    upstream.script(page(PAGE[:size]))
    assert bool(coded(site).values("Content-Encoding")) == is_coded


def test_a_size_that_is_not_known(site: Site, upstream: Upstream) -> None:
    for framing in (chunked, until_close):
        upstream.script(framing(b"short"))
        found = coded(site)
        assert found.values("Content-Encoding") == ["gzip"]
        assert gzip.decompress(found.body) == b"short"


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        ("200 OK", ["Content-Encoding: br"]),
        ("200 OK", ["Content-Encoding: x-own"]),
        ("200 OK", ["Cache-Control: public, no-transform"]),
        ("200 OK", ["Cache-Control: max-age=1", "Cache-Control: NO-TRANSFORM"]),
        ("206 Partial Content", ["Content-Range: bytes 0-9999/20000"]),
        ("206 Partial Content", ["Content-Type: multipart/byteranges; boundary=x"]),
        ("416 Range Not Satisfiable", ["Content-Range: bytes */20000"]),
    ],
)
def test_as_the_server_sent_it(
    site: Site, upstream: Upstream, status: str, lines: Sequence[str]
) -> None:
    upstream.script(page(PAGE, *lines, 'ETag: "x"', "Accept-Ranges: bytes", status=status))
    found = coded(site)
    assert found.body == PAGE
    assert found.value("Content-Length") == str(len(PAGE))
    assert (found.value("ETag"), found.value("Accept-Ranges")) == ('"x"', "bytes")
    expected = [line.split(": ")[1] for line in lines if line.startswith("Content-Encoding")]
    assert found.values("Content-Encoding") == expected
    assert found.values("Vary") == []


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", "201 Created"])
def test_any_status_with_a_body(site: Site, upstream: Upstream, status: str) -> None:
    upstream.script(page(status=status))
    found = coded(site)
    assert (str(found.status), gzip.decompress(found.body)) == (status[:3], PAGE)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_no_body(site: Site, upstream: Upstream, status: str) -> None:
    lines = [f"HTTP/1.1 {status}", TEXT, 'ETag: "x"', "", ""]
    upstream.script(answer("\r\n".join(lines).encode()))
    found = coded(site)
    assert (str(found.status), found.body, found.value("ETag")) == (status[:3], b"", '"x"')
    assert found.values("Content-Encoding") == []


# --- the head -------------------------------------------------------------------------------------


def test_head_is_as_of_get(site: Site, upstream: Upstream) -> None:
    """RFC 9110 §9.3.2."""
    head_only = response(PAGE, "200 OK", TEXT, 'ETag: "x"').removesuffix(PAGE)
    upstream.script(answer(head_only), page(PAGE, 'ETag: "x"'))
    of_head = coded(site, "HEAD")
    of_get = coded(site)
    assert of_head.body == b""
    ignored = {"connection", "transfer-encoding", "content-length"}
    assert [pair for pair in of_head.fields if pair[0] not in ignored] == [
        pair for pair in of_get.fields if pair[0] not in ignored
    ]
    # The compressed length is not known, and the plain one would be wrong.
    assert of_head.values("Content-Length") == []


def test_lines_that_speak_of_other_bytes(site: Site, upstream: Upstream) -> None:
    gone = ["Accept-Ranges: bytes", "Content-MD5: x", "Digest: x", "Content-Digest: x=:y:"]
    kept = ["Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT", "Content-Language: en"]
    upstream.script(page(PAGE, *gone, *kept))
    found = coded(site)
    assert found.values("Transfer-Encoding") == ["chunked"]
    for line in ["Content-Length: x", *gone]:
        assert found.values(line.split(":")[0]) == []
    for line in kept:
        name, value = line.split(": ")
        assert found.value(name) == value
    plain = site.get()
    for line in gone:
        name, value = line.split(": ")
        assert plain.value(name) == value


@pytest.mark.parametrize(("tag", "becomes"), [('"x"', 'W/"x"'), ('W/"x"', 'W/"x"'), ('""', 'W/""')])
def test_etag(site: Site, upstream: Upstream, tag: str, becomes: str) -> None:
    """RFC 9110 §8.8.3.3: the same strong tag for two codings would be wrong."""
    upstream.script(page(PAGE, f"ETag: {tag}"))
    assert coded(site).value("ETag") == becomes
    assert site.get().value("ETag") == tag


@pytest.mark.parametrize(
    ("lines", "becomes"),
    [
        ([], "Accept-Encoding"),
        (["Vary: Origin"], "Origin, Accept-Encoding"),
        (["Vary: Origin", "Vary: Cookie"], "Origin, Cookie, Accept-Encoding"),
        (["Vary: accept-encoding, Origin"], "accept-encoding, Origin"),
        (["Vary: *"], "*"),
    ],
)
def test_vary(site: Site, upstream: Upstream, lines: Sequence[str], becomes: str) -> None:
    """The same to clients that get it plain: a cache must not give theirs to others."""
    upstream.script(page(PAGE, *lines))
    assert coded(site).value("Vary") == becomes
    assert site.get().value("Vary") == becomes


def test_the_head_over_http_2(site: Site, upstream: Upstream) -> None:
    upstream.script(page(PAGE, 'ETag: "x"', "Vary: Origin"))
    with Http2Client(site.port) as client:
        found = client.request(head("GET", "/", ("accept-encoding", "br, gzip;q=0.9")))
    fields = dict(found.fields)
    assert (fields["content-encoding"], fields["etag"]) == ("br", 'W/"x"')
    assert fields["vary"] == "Origin, Accept-Encoding"
    assert "content-length" not in fields


# --- what the route changes besides ---------------------------------------------------------------

TAGGED = ('ETag: "a"', "Vary: Origin")


@pytest.mark.parametrize(
    ("keys", "tags", "vary"),
    [
        ("", ['W/"a"'], "Origin, Accept-Encoding"),
        ('remove = ["ETag"]', [], "Origin, Accept-Encoding"),
        ('remove = ["Vary"]', ['W/"a"'], "Accept-Encoding"),
        ("set = { ETag = '\"b\"' }", ['W/"b"'], "Origin, Accept-Encoding"),
        ("set = { ETag = 'W/\"b\"' }", ['W/"b"'], "Origin, Accept-Encoding"),
    ],
)
def test_lines_that_the_route_changes(
    program: Program, upstream: Upstream, keys: str, tags: list[str], vary: str
) -> None:
    headers = f"response_headers = {{ {keys} }}" if keys else ""
    site = serve(program, upstream, f"{ON}\n{headers}")
    upstream.script(page(PAGE, *TAGGED))
    found = coded(site)
    assert found.values("content-encoding") == ["gzip"]
    assert found.values("etag") == tags
    assert found.values("vary") == [vary]


# --- clients that do not read ---------------------------------------------------------------------

# What a worker has at work at most (native/crates/compress/src/encoders.rs).
MOST_ENCODERS = 64


def heads_of_unread(site: Site, count: int) -> list[list[tuple[str, str]]]:
    """What so many streams of a client get that takes no byte of any body."""
    no_room = {SettingsFrame.INITIAL_WINDOW_SIZE: 0}
    with Http2Client(site.port, settings=no_room) as client:
        asked = head("GET", "/", ("accept-encoding", "gzip"))
        messages = [client.message(client.open(asked)) for _ in range(count)]
        client.run_until(lambda: all(message.fields for message in messages))
        return [message.fields for message in messages]


def coded_count(heads: list[list[tuple[str, str]]]) -> int:
    return sum(("content-encoding", "gzip") in fields for fields in heads)


def test_bodies_that_are_not_read_hold_so_many_encoders(site: Site, upstream: Upstream) -> None:
    """The others go out as they are."""
    upstream.script([read_request, send(page_head(CHUNKED) + chunk(PAGE)), hang])
    heads = heads_of_unread(site, 100)
    assert coded_count(heads) == MOST_ENCODERS
    assert all(("vary", "Accept-Encoding") in fields for fields in heads)


def test_a_body_that_is_encoded_holds_none(site: Site) -> None:
    """However long its client takes."""
    assert coded_count(heads_of_unread(site, 100)) == 100
