"""gRPC-Web: requests as browsers make them, over both versions of HTTP, to a server of gRPC."""

import base64
import gzip

import pytest

from testkit.certificates import Authority
from testkit.grpcserver import H2, GrpcServer
from testkit.grpcweb import BINARY, TEXT, Body, WebClient, framed, headers, written
from testkit.site import Program, Site
from testkit.tls import listener_tls

REFUSAL = "100 %25 gr%C3%BCn%0A"
SIZES = [0, 1, 2, 3, 4, 5, 1_000, 16_379, 70_000, 1_000_000]
PATTERN = bytes(range(256)) * 4_000
EVERY_BYTE = base64.b64encode(bytes(range(256))).decode().rstrip("=")


@pytest.fixture(scope="module")
def site(program: Program, server: GrpcServer) -> Site:
    web = Site([server.port], pool=H2, route="grpc_web = true\ncompression = true")
    program.serve(web)
    return web


def test_one_to_one(client: WebClient) -> None:
    for size in SIZES:
        answer = client.call("Echo", PATTERN[:size])
        assert answer.messages == [PATTERN[:size]]
        assert answer.status == (0, "")
        is_text = answer.fields["content-type"].startswith(TEXT)
        assert is_text == (client.content_type == TEXT)


def test_one_to_many(client: WebClient) -> None:
    answer = client.call("Count", b"300")
    assert answer.messages == [b"%d" % number for number in range(300)]
    assert answer.status == (0, "")


def test_no_messages(client: WebClient) -> None:
    """What is left of such an answer is its head."""
    answer = client.call("Count", b"0")
    assert (answer.messages, answer.status) == ([], (0, ""))


def test_several_calls_on_a_connection(client: WebClient) -> None:
    for _ in range(3):
        assert client.call("Refuse", b"ABORTED").status == (10, REFUSAL)
        assert client.call("Count", b"0").messages == []
        assert client.call("Echo", b"hello").messages == [b"hello"]


def test_a_failure_without_messages(client: WebClient) -> None:
    answer = client.call("Refuse", b"NOT_FOUND")
    assert (answer.messages, answer.status) == ([], (5, REFUSAL))


def test_a_failure_after_messages(client: WebClient) -> None:
    answer = client.call("Break", b"first")
    assert (answer.messages, answer.status) == ([b"first"], (10, REFUSAL))


def test_metadata(client: WebClient, server: GrpcServer) -> None:
    sent = [
        ("initial-text", "a, b"),
        ("initial-any-bin", EVERY_BYTE),
        ("trailing-text", "inner  spaces"),
        ("trailing-any-bin", EVERY_BYTE),
    ]
    answer = client.call("Echo", b"", *sent)
    assert [answer.fields[name] for name, _ in sent[:2]] == [value for _, value in sent[:2]]
    assert [answer.trailers[name] for name, _ in sent[2:]] == [value for _, value in sent[2:]]
    received = dict(server.received[-1].metadata)
    assert received["trailing-any-bin"] == bytes(range(256))
    # Between the browser and us alone.
    assert received.keys().isdisjoint({"x-grpc-web", "accept"})


def test_each_message_is_there_before_the_next(client: WebClient) -> None:
    """Also in base64: each message ends with a whole group."""
    request = written(framed(b"begun"), client.content_type)
    sent = headers(client.content_type)
    with client.http.stream("POST", "Begin", content=request, headers=sent) as response:
        body, messages = Body(response.headers["content-type"]), []
        for piece in response.iter_raw():
            if messages := list(body.take(piece)):
                break
    assert messages == [b"begun"]


def test_a_body_in_many_pieces(client: WebClient) -> None:
    """The first client of h1 sends it in chunks; each piece of base64 may be padded."""
    raw = framed(PATTERN[:100])
    pieces = [written(raw[at : at + 7], client.content_type) for at in range(0, len(raw), 7)]
    answer = client.post("Echo", iter(pieces))
    assert answer.messages == [PATTERN[:100]]


def test_a_compressed_message(client: WebClient) -> None:
    """By gRPC itself; nothing is compressed beside it."""
    body = written(framed(gzip.compress(PATTERN[:2_000]), 1), client.content_type)
    answer = client.post("Echo", body, ("grpc-encoding", "gzip"), ("accept-encoding", "gzip"))
    assert answer.messages == [PATTERN[:2_000]]
    assert "content-encoding" not in answer.fields


def test_the_form_that_is_accepted(site: Site) -> None:
    """May be another one than that of the request."""
    for version in (1, 2):
        with WebClient(site.port, version, BINARY) as client:
            answer = client.call("Echo", b"hello", ("accept", TEXT))
            assert answer.fields["content-type"].startswith(TEXT)
            assert answer.messages == [b"hello"]


def test_over_tls(
    program: Program, server: GrpcServer, authority: Authority, form: tuple[int, str]
) -> None:
    """As pages have it in the end, on both sides."""
    issued = authority.issue("edge", ["127.0.0.1"])
    pool = f'{H2}\ntls = {{ ca = "{authority.ca}" }}'
    listener = listener_tls(issued)
    site = Site([server.tls_port], listener=listener, route="grpc_web = true", pool=pool)
    program.serve(site)
    alpn = ["h2"] if form[0] == 2 else ["http/1.1"]
    with WebClient(site.port, *form, authority.client_context(alpn=alpn)) as client:
        assert client.call("Echo", PATTERN[:70_000]).messages == [PATTERN[:70_000]]
        assert client.call("Refuse", b"ABORTED").status == (10, REFUSAL)
        assert client.call("Break", b"first").messages == [b"first"]
