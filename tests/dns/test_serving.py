"""The nameserver on its sockets: transports, limits, bad input, changes while it runs."""

import socket

import dns.flags
import dns.message
import dns.rcode
import pytest

from testkit.dnsclient import DnsServer, framed, read_message
from testkit.waiting import wait_until

QUESTION = dns.message.make_query("www.example.test", "A")
WIRE = QUESTION.to_wire()


def test_an_answer(server: DnsServer) -> None:
    answer = server.ask("WWW.example.test")
    assert answer.flags & dns.flags.AA
    assert [str(rrset) for rrset in answer.answer] == ["WWW.example.test. 300 IN A 192.0.2.1"]


def test_many_questions_on_a_connection(server: DnsServer) -> None:
    """Sent at once, answered in their order (RFC 7766 §6.2.1.1)."""
    questions = [dns.message.make_query("www.example.test", "A") for _ in range(100)]
    with server.connect() as client:
        client.sendall(b"".join(framed(question.to_wire()) for question in questions))
        for question in questions:
            answer = dns.message.from_wire(read_message(client))
            assert question.is_response(answer)


def test_a_question_byte_by_byte(server: DnsServer) -> None:
    with server.connect() as client:
        for byte in framed(WIRE):
            client.sendall(bytes([byte]))
        assert dns.message.from_wire(read_message(client)).answer


@pytest.mark.parametrize("said", [b"", b"\0", framed(WIRE)[:-1], b"\xff\xff"])
def test_a_connection_that_is_silent_ends(server: DnsServer, said: bytes) -> None:
    with server.connect() as client:
        client.sendall(said)
        assert read_message(client) == b""


def test_so_many_connections(server: DnsServer) -> None:
    clients = [server.connect() for _ in range(20)]
    try:
        for client in clients:
            client.sendall(framed(WIRE))
            assert read_message(client)
        with server.connect() as one_more:
            assert read_message(one_more) == b""
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("message", "rcode"),
    [
        (WIRE[:-1], dns.rcode.FORMERR),
        (WIRE + b"\0", dns.rcode.FORMERR),
        (WIRE[:4] + b"\0\2" + WIRE[6:], dns.rcode.FORMERR),
        (WIRE[:12] + b"\xc0\x0c" + WIRE[-4:], dns.rcode.FORMERR),
        (WIRE[:2] + b"\x28" + WIRE[3:], dns.rcode.NOTIMP),
        (WIRE[:12], dns.rcode.FORMERR),
    ],
)
def test_what_is_malformed(server: DnsServer, message: bytes, rcode: int) -> None:
    with server.send(message) as client:
        answer = client.recv(512)
    assert (answer[:2], answer[3] & 0xF) == (WIRE[:2], rcode)


@pytest.mark.parametrize("message", [b"", WIRE[:11], WIRE[:2] + b"\x80" + WIRE[3:]])
def test_what_is_no_question_gets_no_answer(server: DnsServer, message: bytes) -> None:
    ignored = server.trunkline.metric("trunkline_dns_ignored_total")
    with server.send(message) as client:
        wait_until(
            lambda: server.trunkline.metric("trunkline_dns_ignored_total") == ignored + 1,
            timeout_s=5,
            what="the message to be counted",
        )
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(512)


def test_who_it_is(server: DnsServer) -> None:
    question = dns.message.make_query("id.server", "TXT", "CH")
    with server.send(question.to_wire()) as client:
        answer = dns.message.from_wire(client.recv(512))
    assert str(answer.answer[0][0]) == '"here"'
    question = dns.message.make_query("version.server", "TXT", "CH")
    with server.send(question.to_wire()) as client:
        assert dns.message.from_wire(client.recv(512)).rcode() == dns.rcode.REFUSED


def test_what_is_not_ours(server: DnsServer) -> None:
    assert server.ask("example.org").rcode() == dns.rcode.REFUSED


def test_a_later_version_of_edns(server: DnsServer) -> None:
    assert server.ask("www.example.test", edns=1).rcode() == dns.rcode.BADVERS


def test_a_changed_zone(server: DnsServer) -> None:
    before = server.zone.read_text()
    server.zone.write_text(before.replace("192.0.2.1", "192.0.2.2"))
    assert server.trunkline.reload()[0] == 200
    assert server.address("www.example.test") == "192.0.2.2"
    server.zone.write_text(before)
    assert server.trunkline.reload()[0] == 200
    assert server.address("www.example.test") == "192.0.2.1"


def test_a_broken_zone_changes_nothing(server: DnsServer) -> None:
    before = server.zone.read_text()
    server.zone.write_text(before + "www A 1.2.3\n")
    status, answer = server.trunkline.reload()
    server.zone.write_text(before)
    assert status == 422
    (error,) = answer["errors"]
    assert error["key"].endswith('zones."example.test"')
    assert f"{server.zone}:6: " in error["message"]
    assert server.address("www.example.test") == "192.0.2.1"


def test_addresses_come_and_go(server: DnsServer) -> None:
    config = server.trunkline.config_path.read_text()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    changed = config.replace(f":{server.port}", f":{port}")
    server.trunkline.config_path.write_text(changed)
    assert server.trunkline.reload()[0] == 200
    moved = DnsServer(server.trunkline, port, server.zone)
    assert moved.address("www.example.test") == "192.0.2.1"
    with pytest.raises(ConnectionRefusedError):
        server.connect()
    server.trunkline.config_path.write_text(config)
    assert server.trunkline.reload()[0] == 200
    assert server.address("www.example.test") == "192.0.2.1"
