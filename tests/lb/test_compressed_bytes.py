"""Compressed responses: the bytes are right, there in time, and cut where the server's are.

curl decodes; an independent decoder for all three codings, over every version of HTTP.
"""

import asyncio
import gzip
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from threading import Event

import pytest

from testkit import curl
from testkit.feed import Feed
from testkit.http2_client import Http2Client
from testkit.http2_client import head as request
from testkit.http2_upstream import Http2Upstream, answer_with
from testkit.pages import CHUNKED, PAGE, TEXT, chunk, chunked, head, page, until_close
from testkit.site import Program, Site
from testkit.upstream import Connection, Script, Step, Upstream, answer, read_request, reset, send

CODINGS = ["gzip", "br", "zstd"]
VERSIONS = ["1.1", "2"]
ON = "compression = true"
JSON = b'{"a":' + b'"b"' * 500 + b"}"
# Neither all alike nor all different, and more than any buffer on the way.
BODIES = {
    "page": PAGE,
    "zeros": bytes(3_000_000),
    "noise": random.Random(1).randbytes(300_000),
    "both": PAGE * 20 + random.Random(2).randbytes(70_000) + PAGE * 20,
}


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


@pytest.mark.parametrize("version", ["1.0", *VERSIONS])
@pytest.mark.parametrize("framing", [page, chunked, until_close])
def test_the_same_bytes(
    site: Site, upstream: Upstream, version: str, framing: Callable[[bytes], Script]
) -> None:
    for coding, body in product(CODINGS, BODIES.values()):
        upstream.script(framing(body))
        found = curl.fetch(site.port, version, encoding=coding)
        assert (found.exit_code, found.values("Content-Encoding")) == (0, [coding])
        assert found.body == body


@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_bytes_of_a_server_of_http_2(program: Program, version: str) -> None:
    body = BODIES["both"]
    with Http2Upstream(answer_with(body, ("content-type", "text/css"))) as upstream:
        site = Site([upstream.port], route=ON, pool='protocol = "h2"')
        program.serve(site)
        for coding in CODINGS:
            found = curl.fetch(site.port, version, encoding=coding)
            assert (found.exit_code, found.values("Content-Encoding")) == (0, [coding])
            assert found.body == body
        program.serve()


def test_one_response_after_the_other(site: Site, upstream: Upstream) -> None:
    """Encoders are used again, wherever in a body they stopped."""
    too_short = answer(head(f"Content-Length: {2 * len(PAGE)}") + PAGE)
    for coding in CODINGS:
        upstream.script(too_short, page(PAGE), too_short, page(JSON), page())
        found = [curl.fetch(site.port, "1.1", encoding=coding) for _ in range(5)]
        assert [bool(each.exit_code) for each in found] == [True, False, True, False, False]
        assert [found[number].body for number in (1, 3, 4)] == [PAGE, JSON, PAGE]


def test_many_at_once(program: Program, upstream: Upstream) -> None:
    site = serve(program, upstream)
    cases = list(product(VERSIONS, CODINGS)) * 4
    with ThreadPoolExecutor(8) as threads:
        bodies = threads.map(lambda case: curl.fetch(site.port, case[0], encoding=case[1]), cases)
        assert all(found.body == PAGE for found in bodies)


def test_it_becomes_smaller(site: Site) -> None:
    for coding in CODINGS:
        found = site.get("/", f"Accept-Encoding: {coding}")
        assert len(found.body) < len(PAGE) / 3


def test_an_empty_body(program: Program, upstream: Upstream) -> None:
    site = serve(program, upstream, 'compression = { min_size = "0B" }')
    for version, coding, framing in product(VERSIONS, CODINGS, (page, chunked, until_close)):
        upstream.script(framing(b""))
        found = curl.fetch(site.port, version, encoding=coding)
        assert (found.exit_code, found.body) == (0, b"")


def test_trailers_follow(site: Site, upstream: Upstream) -> None:
    upstream.script(answer(head(CHUNKED) + chunk(PAGE) + b"0\r\nX-Sum: 7\r\n\r\n"))
    found = site.get("/", "Accept-Encoding: gzip")
    assert gzip.decompress(found.body) == PAGE
    assert found.trailers == [("x-sum", "7")]
    with Http2Client(site.port) as client:
        over_2 = client.request(request("GET", "/", ("accept-encoding", "gzip")))
    assert gzip.decompress(bytes(over_2.body)) == PAGE
    assert over_2.trailers == [("x-sum", "7")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("coding", CODINGS)
def test_a_piece_is_there_before_the_next(
    site: Site, upstream: Upstream, version: str, coding: str
) -> None:
    """What the server has sent can be decoded, though the response is not over."""
    feed, sent = Feed(), b""
    upstream.script(feed.chunked(TEXT))
    with curl.Stream(site.port, version, encoding=coding) as response:
        # Of more than 16 KB at once curl's decoder of br keeps a part until more comes.
        for piece in (b"first\n", b"second\n", PAGE, b"x", PAGE * 2):
            feed.put(piece)
            sent += piece
            response.wait_for(sent)
        feed.end()
        assert response.finish() == 0


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("end", [send(b""), reset], ids=["closed", "reset"])
def test_the_server_dies_in_its_answer(
    site: Site, upstream: Upstream, coding: str, framing: str, end: Step
) -> None:
    """The end of the coding must not be put on: nobody may take the part for the whole."""
    whole_bytes, seen = 2 * len(PAGE), Event()
    by_length = head(f"Content-Length: {whole_bytes}") + PAGE
    in_a_chunk = head(CHUNKED) + b"%x\r\n" % whole_bytes + PAGE

    async def until_seen(_: Connection) -> None:
        await asyncio.to_thread(seen.wait, 20)

    begun = by_length if framing == "length" else in_a_chunk
    upstream.script([read_request, send(begun), until_seen, end])
    for version, exit_code in (("1.1", curl.PARTIAL_FILE), ("2", curl.STREAM_ERROR)):
        seen.clear()
        with curl.Stream(site.port, version, encoding=coding) as response:
            response.wait_for(PAGE)
            seen.set()
            assert response.finish() == exit_code
