"""Challenges: which of those on offer to take up, and what must be answered for them.

The `acme` package leaves TLS-ALPN-01 (RFC 8737) to its users; it is registered here the way the
package registers its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from acme import challenges, messages
from josepy.jwk import JWK

from trunkline.core.acme.certificate import make_challenge_certificate
from trunkline.core.acme.front import Answers
from trunkline.core.config.acme import ChallengeType


@challenges.ChallengeResponse.register
class TlsAlpn01Response(challenges.KeyAuthorizationChallengeResponse):
    """What tells the issuer to look."""

    typ = "tls-alpn-01"


@challenges.Challenge.register
class TlsAlpn01(challenges.KeyAuthorizationChallenge):
    """The challenge that is answered within a TLS handshake."""

    response_cls = TlsAlpn01Response
    typ = TlsAlpn01Response.typ

    def validation(self, account_key: JWK, **_: Any) -> str:
        """The key authorization, whose digest goes into the certificate."""
        return self.key_authorization(account_key)


@dataclass(frozen=True)
class Chosen:
    """A challenge that will be taken up.

    Attributes:
        authorization: Which proof of a name it is part of.
        body: The challenge.
    """

    authorization: messages.AuthorizationResource
    body: messages.ChallengeBody

    @property
    def name(self) -> str:
        """The host name to prove."""
        return str(self.authorization.body.identifier.value)

    @property
    def kind(self) -> ChallengeType:
        """How it is proven."""
        kind: ChallengeType = self.body.chall.typ
        return kind


def choose(
    authorization: messages.AuthorizationResource, kinds: Sequence[ChallengeType]
) -> Chosen | None:
    """The first on offer of these kinds; None if there is none."""
    offered = {body.chall.typ: body for body in authorization.body.challenges if _is_known(body)}
    found = next((offered[kind] for kind in kinds if kind in offered), None)
    return Chosen(authorization, found) if found else None


def answers_to(chosen: Iterable[Chosen], account_key: JWK, now_s: float) -> Answers:
    """What the front must answer while the issuer looks."""
    answers = Answers()
    for one in chosen:
        text = one.body.chall.key_authorization(account_key)
        if one.kind == "http-01":
            answers.challenges[one.body.chall.encode("token")] = text
        else:
            pair = make_challenge_certificate(one.name, text, now_s)
            answers.certificates[one.name] = pair
    return answers


def _is_known(body: messages.ChallengeBody) -> bool:
    return isinstance(body.chall, challenges.KeyAuthorizationChallenge)
