"""A small DNS server over UDP: answers from records that a test may change while it runs."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Self, cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from testkit.loopthread import LoopThread

# (name, type) → TTL and the records' texts.
Records = Mapping[tuple[str, str], tuple[int, list[str]]]


class Nameserver:
    """Serves on 127.0.0.1 while its ``with`` block runs.

    Args:
        records: What it knows; any other name does not exist.
    """

    def __init__(self, records: Records) -> None:
        self.records: Records = records
        self.silent = False
        """Receive questions, and answer none."""
        self._asked: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._loop = LoopThread("nameserver")

    def __enter__(self) -> Self:
        self._transport, self.port = self._loop.call(self._bind())
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call(self._close())
        self._loop.stop()

    @property
    def address(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self.port}"

    def asked(self, name: str) -> int:
        """How many questions for this name have come."""
        with self._lock:
            return sum(1 for known, _ in self._asked if known == name)

    def answer(self, wire: bytes) -> bytes | None:
        """The answer to one packet."""
        query = dns.message.from_wire(wire)
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(question.rdtype)
        with self._lock:
            self._asked.append((name, kind))
        if self.silent:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        self._fill(response, name, kind)
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        alias = self.records.get((name, "CNAME"))
        if alias is not None:
            response.answer.append(_rrset(name, "CNAME", *alias))
            name = alias[1][0].rstrip(".")
        if not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif (name, kind) in self.records:
            response.answer.append(_rrset(name, kind, *self.records[name, kind]))

    async def _bind(self) -> tuple[asyncio.DatagramTransport, int]:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Protocol(self), local_addr=("127.0.0.1", 0)
        )
        return transport, transport.get_extra_info("sockname")[1]

    async def _close(self) -> None:
        self._transport.close()


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, server: Nameserver) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's is one in all but name.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        answer = self._server.answer(data)
        if answer is not None:
            self._transport.sendto(answer, address)


def _rrset(name: str, kind: str, ttl_s: int, texts: list[str]) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(f"{name}.", ttl_s, "IN", kind, texts)
