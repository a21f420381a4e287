"""gRPC's own server, with methods of all kinds, and some that fail.

    Echo    one → one     the same message
    Refuse  one → one     fails with the code that the message names
    Hang    one → one     until the call is over
    Count   one → many    so many messages as the message says
    Begin   one → many    the message, and then nothing until the call is over
    Break   one → many    the message, and then fails with ABORTED
    Join    many → one    all in one
    Talk    many → many   each message back as soon as it is here

Metadata that begin with ``initial-`` and ``trailing-`` come back before and after the messages.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

from testkit.certificates import Issued
from testkit.grpcclient import OPTIONS, SERVICE, Metadata, grpc
from testkit.waiting import wait_until

H2 = 'protocol = "h2"'
"""What a pool of such servers needs."""
REFUSAL = "100 % grün\n"
"""What ``Refuse`` and ``Break`` say."""
# Longer than any test takes: a server that hangs ends with its call.
_HANG_S = 50


@dataclass(frozen=True)
class Received:
    """A call as the server got it.

    Attributes:
        method: Without the service.
        metadata: What the client sent along.
        remaining_s: Until its deadline; if it has none, as long as grpcio can count.
    """

    method: str
    metadata: Metadata
    remaining_s: float


@dataclass(frozen=True)
class Records:
    """What has happened since somebody began them.

    Attributes:
        received: Calls as they came.
        ended: Methods of those that are over, of the ones that last until the client's end or ours.
    """

    received: list[Received] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)


class GrpcServer:
    """Serves ``kit.Calls`` on loopback while the ``with`` block lasts.

    Args:
        issued: For its TLS port.
        name: Comes with each answer, in the trailing metadata ``served-by``.
        at_a_time: Calls on one connection; 0 = any number.
    """

    def __init__(
        self, issued: Issued | None = None, *, name: str = "one", at_a_time: int = 0
    ) -> None:
        self._records = Records()
        self._name = name
        limit = [("grpc.max_concurrent_streams", at_a_time)] if at_a_time else []
        self._server = grpc.server(ThreadPoolExecutor(64), options=[*OPTIONS, *limit])
        self._server.add_generic_rpc_handlers([self._handlers()])
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")
        self.tls_port = 0
        if issued is not None:
            pair = (issued.key.read_bytes(), issued.certificate.read_bytes())
            credentials = grpc.ssl_server_credentials([pair])
            self.tls_port = self._server.add_secure_port("127.0.0.1:0", credentials)

    @property
    def received(self) -> list[Received]:
        """The calls so far."""
        return self._records.received

    @property
    def ended(self) -> list[str]:
        """Methods of the long calls that are over."""
        return self._records.ended

    def forget(self) -> None:
        """Begin the records anew; what is still to come of earlier calls is not in them."""
        self._records = Records()

    def wait_for_call(self, count: int = 1) -> None:
        """Return once so many calls have come.

        Raises:
            TimeoutError: If they did not.
        """
        wait_until(lambda: len(self.received) >= count, timeout_s=10, what=f"{count} calls")

    def wait_for_end(self, count: int = 1) -> list[str]:
        """The methods of long calls that are over, once there are so many.

        Raises:
            TimeoutError: If they go on.
        """
        wait_until(lambda: len(self.ended) >= count, timeout_s=10, what=f"{count} calls to end")
        return self.ended

    def say_goodbye(self) -> threading.Event:
        """GOAWAY: calls under way go on, there are no new ones; set when all are over."""
        event: threading.Event = self._server.stop(_HANG_S)
        return event

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def _handlers(self) -> Any:
        methods = {
            "Echo": grpc.unary_unary_rpc_method_handler(self._echo),
            "Refuse": grpc.unary_unary_rpc_method_handler(self._refuse),
            "Hang": grpc.unary_unary_rpc_method_handler(self._hang),
            "Count": grpc.unary_stream_rpc_method_handler(self._count),
            "Begin": grpc.unary_stream_rpc_method_handler(self._begin),
            "Break": grpc.unary_stream_rpc_method_handler(self._break),
            "Join": grpc.stream_unary_rpc_method_handler(self._join),
            "Talk": grpc.stream_stream_rpc_method_handler(self._talk),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def _take(self, method: str, context: Any) -> Records:
        """Record the call; where its end belongs."""
        records = self._records
        metadata: Metadata = [tuple(pair) for pair in context.invocation_metadata()]
        records.received.append(Received(method, metadata, context.time_remaining()))
        if initial := [pair for pair in metadata if pair[0].startswith("initial-")]:
            context.send_initial_metadata(initial)
        trailing = [pair for pair in metadata if pair[0].startswith("trailing-")]
        context.set_trailing_metadata([*trailing, ("served-by", self._name)])
        return records

    def _follow(self, method: str, context: Any) -> threading.Event:
        """Record a long call; set when it is over."""
        over, records = threading.Event(), self._take(method, context)

        def end() -> None:
            records.ended.append(method)
            over.set()

        if not context.add_callback(end):
            end()
        return over

    def _echo(self, message: bytes, context: Any) -> bytes:
        self._take("Echo", context)
        return message

    def _refuse(self, message: bytes, context: Any) -> None:
        self._take("Refuse", context)
        context.abort(grpc.StatusCode[message.decode()], REFUSAL)

    def _hang(self, message: bytes, context: Any) -> bytes:
        over = self._follow("Hang", context)
        over.wait(_HANG_S)
        return message

    def _count(self, message: bytes, context: Any) -> Iterator[bytes]:
        self._take("Count", context)
        yield from (b"%d" % number for number in range(int(message)))

    def _begin(self, message: bytes, context: Any) -> Iterator[bytes]:
        over = self._follow("Begin", context)
        yield message
        over.wait(_HANG_S)

    def _break(self, message: bytes, context: Any) -> Iterator[bytes]:
        self._take("Break", context)
        yield message
        context.abort(grpc.StatusCode.ABORTED, REFUSAL)

    def _join(self, messages: Iterator[bytes], context: Any) -> bytes:
        self._follow("Join", context)
        return b"".join(messages)

    def _talk(self, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        self._follow("Talk", context)
        yield from messages
