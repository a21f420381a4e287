"""gRPC's own client: channels to a server or a proxy, and what became of their calls.

Messages are bytes, so nothing is generated from a ``.proto``. grpcio ships no types, and whether
stubs are installed differs; so it is imported untyped, here for the server (grpcserver.py) too.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

grpc: Any = importlib.import_module("grpc")

SERVICE = "kit.Calls"
OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    # Each channel has connections of its own, and tells of the first failure.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]
Metadata = list[tuple[str, str | bytes]]
Messages = SimpleQueue[bytes | None]


@dataclass(frozen=True)
class Talk:
    """A call of ``Talk`` under way.

    Attributes:
        call: As grpcio has it.
        queue: Takes messages; None ends them.
    """

    call: Any
    queue: Messages

    def say(self, message: bytes) -> bytes:
        """Send a message and wait for the next one that comes back."""
        self.queue.put(message)
        answer: bytes = next(self.call)
        return answer

    def finish(self) -> list[bytes]:
        """Send no more; what still comes."""
        self.queue.put(None)
        return list(self.call)


class Channel:
    """A client's channel; each method is called as grpcio calls it.

    Args:
        port: On 127.0.0.1.
        authority: PEM file of whom it believes; None = in the clear.
    """

    def __init__(self, port: int, authority: Path | None = None) -> None:
        target = f"127.0.0.1:{port}"
        if authority is None:
            self.grpc = grpc.insecure_channel(target, options=OPTIONS)
        else:
            credentials = grpc.ssl_channel_credentials(authority.read_bytes())
            self.grpc = grpc.secure_channel(target, credentials, options=OPTIONS)

    def one_to_one(self, method: str) -> Any:
        """Of a method that takes one message and returns one."""
        return self.grpc.unary_unary(f"/{SERVICE}/{method}")

    def one_to_many(self, method: str) -> Any:
        """Of one that returns a stream."""
        return self.grpc.unary_stream(f"/{SERVICE}/{method}")

    def many_to_one(self, method: str) -> Any:
        """Of one that takes a stream."""
        return self.grpc.stream_unary(f"/{SERVICE}/{method}")

    def many_to_many(self, method: str) -> Any:
        """Of one that does both."""
        return self.grpc.stream_stream(f"/{SERVICE}/{method}")

    def echo(self, message: bytes = b"hello", **options: Any) -> bytes:
        """The answer of ``Echo``; within 20 s unless ``timeout`` says less."""
        answer: bytes = self.one_to_one("Echo")(message, **{"timeout": 20, **options})
        return answer

    @contextmanager
    def talk(self) -> Iterator["Talk"]:
        """A stream both ways that stands; the end of the block cancels what is left of it."""
        with messages_to_send() as queue:
            talk = Talk(self.many_to_many("Talk")(iter(queue.get, None)), queue)
            assert talk.say(b"") == b""
            yield talk
            talk.call.cancel()

    def served_by(self) -> str:
        """The name of the server that answers now."""
        _, call = self.one_to_one("Echo").with_call(b"", timeout=20)
        return str(dict(call.trailing_metadata())["served-by"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.grpc.close()


@dataclass(frozen=True)
class Outcome:
    """How a call failed.

    Attributes:
        code: The number of its status.
        message: What the status says.
    """

    code: int
    message: str


def outcome(call: Callable[[], object]) -> Outcome:
    """How a call that must fail failed.

    Raises:
        AssertionError: If it did not.
    """
    try:
        returned = call()
    except grpc.RpcError as error:
        return Outcome(error.code().value[0], error.details())
    raise AssertionError(f"returned {returned!r}")


@contextmanager
def messages_to_send() -> Iterator[Messages]:
    """A queue whose ``put`` sends a message; ``iter(queue.get, None)`` is what a call takes.

    grpcio has a thread that waits for the next message; the end of the block ends it.
    """
    queue: Messages = SimpleQueue()
    try:
        yield queue
    finally:
        queue.put(None)
