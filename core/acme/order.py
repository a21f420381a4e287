"""One order from its beginning to the certificate (RFC 8555 §7.4).

    newOrder ─▶ authorizations ─▶ answers are shown, the issuer looks ─▶ finalize ─▶ download

Blocks; runs in a thread of its own.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from acme import errors, messages
from acme.crypto_util import make_csr

from trunkline.core.acme.challenge import Chosen, answers_to, choose
from trunkline.core.acme.front import AnswerBoard
from trunkline.core.acme.network import Client
from trunkline.core.config.acme import ChallengeType

# An issuer that looks from several places of the world takes seconds; one that has not decided
# after this has lost the order.
_PATIENCE_S = 180.0
# How long between two looks at an authorization if the issuer does not say: doubled each time.
_FIRST_PAUSE_S = 0.25
_MOST_PAUSE_S = 5.0


class NotProvenError(Exception):
    """The issuer could not be shown that a name is ours; the message says which and why."""


@dataclass(frozen=True)
class Obtained:
    """What an order gave.

    Attributes:
        chain_pem: The certificate and those above it.
        challenge: How names were proven; None if the issuer took an earlier proof.
    """

    chain_pem: bytes
    challenge: ChallengeType | None


def obtain(
    client: Client,
    board: AnswerBoard,
    names: frozenset[str],
    key_pem: bytes,
    kinds: Sequence[ChallengeType],
) -> Obtained:
    """Order a certificate.

    Args:
        client: With an account.
        board: Where answers are shown.
        names: Its host names.
        key_pem: Its private key.
        kinds: Kinds of challenge, the preferred one first.

    Raises:
        NotProvenError: A name could not be proven.
        errors.Error: The issuer refuses, or does not decide in time.
        OSError: It cannot be reached.
    """
    order = client.new_order(make_csr(key_pem, sorted(names)))
    deadline_s = time.monotonic() + _PATIENCE_S
    challenge = _prove(client, board, _choose_all(order, kinds), deadline_s)
    # The package compares with local time.
    deadline = datetime.now() + timedelta(seconds=max(1.0, deadline_s - time.monotonic()))
    finished = client.finalize_order(order, deadline)
    return Obtained(finished.fullchain_pem.encode(), challenge)


def _choose_all(order: messages.OrderResource, kinds: Sequence[ChallengeType]) -> list[Chosen]:
    """A challenge for each name that is not proven yet."""
    found = []
    for authorization in order.authorizations:
        if authorization.body.status == messages.STATUS_VALID:
            continue
        chosen = choose(authorization, kinds)
        if chosen is None:
            name = authorization.body.identifier.value
            raise NotProvenError(f"{name}: the issuer offers none of {', '.join(kinds)}")
        found.append(chosen)
    return found


def _prove(
    client: Client,
    board: AnswerBoard,
    chosen: list[Chosen],
    deadline_s: float,
) -> ChallengeType | None:
    """Let the issuer look at all names; how they were proven."""
    key = client.net.key
    with board.shown(answers_to(chosen, key, time.time())):
        for one in chosen:
            client.answer_challenge(one.body, one.body.chall.response(key))
        decided = [await_decision(client, one, deadline_s) for one in chosen]
    failed = [authorization for authorization in decided if not _is_valid(authorization)]
    if failed:
        raise NotProvenError("; ".join(map(_why, failed)))
    return chosen[0].kind if chosen else None


def await_decision(
    client: Client, chosen: Chosen, deadline_s: float
) -> messages.AuthorizationResource:
    """Ask until the issuer has made up its mind about one name.

    Raises:
        errors.TimeoutError: It has not by `deadline_s`, of the monotonic clock.
    """
    pause_s = _FIRST_PAUSE_S
    authorization, _ = client.poll(chosen.authorization)
    while authorization.body.status == messages.STATUS_PENDING:
        if time.monotonic() > deadline_s:
            raise errors.TimeoutError
        # The issuer's others wait for this one: no wish of its own may make that longer.
        wished_s = max(pause_s, client.net.retry_after_s or 0.0)
        time.sleep(max(0.0, min(wished_s, deadline_s - time.monotonic())))
        pause_s = min(2 * pause_s, _MOST_PAUSE_S)
        authorization, _ = client.poll(authorization)
    return authorization


def _is_valid(authorization: messages.AuthorizationResource) -> bool:
    return bool(authorization.body.status == messages.STATUS_VALID)


def _why(authorization: messages.AuthorizationResource) -> str:
    name = authorization.body.identifier.value
    reasons = [
        f"{body.chall.typ}: {body.error.detail or body.error.typ}"
        for body in authorization.body.challenges
        if body.error is not None
    ]
    return f"{name}: {', '.join(reasons) or authorization.body.status.name}"
