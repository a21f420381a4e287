"""The data plane as ACME sees it: whoever answers for the names while an issuer looks.

The issuer asks a name over plain HTTP for `/.well-known/acme-challenge/TOKEN` (RFC 8555 §8.3), or
connects by TLS with the protocol `acme-tls/1` (RFC 8737); which answers to give changes with each
order. Both tables are handed over whole, so nothing is left behind by an order that broke off.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import orjson


class Front(Protocol):
    """What answers; callable from any thread."""

    def set_challenges(self, challenges: bytes) -> None:
        """Answer these over plain HTTP, before any route.

        Args:
            challenges: JSON `{TOKEN: KEY_AUTHORIZATION}`. The answer to a GET of
                `/.well-known/acme-challenge/TOKEN` is 200 with KEY_AUTHORIZATION as its body.
        """

    def set_challenge_certificates(self, certificates: bytes) -> None:
        """Answer TLS handshakes that offer `acme-tls/1` alone with these.

        Args:
            certificates: JSON `{NAME: {"certificate": PEM, "key": PEM}}`, by the name of the SNI.
                The handshake ends with the protocol `acme-tls/1`, the connection right after it.
        """


@dataclass(frozen=True)
class Answers:
    """What one order needs answered.

    Attributes:
        challenges: Key authorizations by token.
        certificates: Certificate and key as PEM by host name.
    """

    challenges: dict[str, str] = field(default_factory=dict)
    certificates: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)


class AnswerBoard:
    """The answers of all orders that are under way, one for each issuer at most.

    Args:
        front: Gets the tables after each change.
    """

    def __init__(self, front: Front) -> None:
        self._front = front
        self._answers: list[Answers] = []
        self._changing = threading.Lock()

    @contextmanager
    def shown(self, answers: Answers) -> Iterator[None]:
        """Within this block the front gives these answers too."""
        self._change(add=answers)
        try:
            yield
        finally:
            self._change(remove=answers)

    def _change(self, *, add: Answers | None = None, remove: Answers | None = None) -> None:
        with self._changing:
            kept = [answers for answers in self._answers if answers is not remove]
            self._answers = [*kept, add] if add else kept
            self._front.set_challenges(orjson.dumps(self._challenges()))
            self._front.set_challenge_certificates(orjson.dumps(self._certificates()))

    def _challenges(self) -> dict[str, str]:
        return {token: text for one in self._answers for token, text in one.challenges.items()}

    def _certificates(self) -> dict[str, dict[str, str]]:
        # If two issuers look at one name at a time, the later is answered; the other tries again.
        return {
            name: {"certificate": certificate.decode(), "key": key.decode()}
            for one in self._answers
            for name, (certificate, key) in one.certificates.items()
        }
