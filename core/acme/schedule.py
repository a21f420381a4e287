"""When to ask an issuer for a certificate, and when to ask again after a failure.

    no certificate yet       at once
    a certificate            when only `renew_before` of its life is left, a third by default
    after n failures         2, 4, 8 … minutes later, at most 6 hours, each up to a quarter longer
    the issuer said when     not before that

Decisions only: no clock, no socket, no file. Times are seconds since the epoch, because what is
decided must hold across restarts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime

from trunkline.core.config.acme import ChallengeType

# Let's Encrypt: "We recommend renewing certificates when they have a third of their total lifetime
# left".
_RENEWED_SHARE = 1 / 3
# An issuer's "come back in a year" is a mistake of its own, or of a clock.
_MOST_RETRY_AFTER_S = 7 * 86_400.0


@dataclass(frozen=True)
class Backoff:
    """Pauses after failures.

    Attributes:
        first_s: After the first one. Two minutes, doubled, make five attempts in the first hour,
            which is how many failed validations of a name Let's Encrypt allows in an hour.
        most_s: The longest.
        spread: Each pause is made longer by up to this share, so that many clients that an outage
            has put in step fall out of it.
    """

    first_s: float = 120.0
    most_s: float = 6 * 3_600.0
    spread: float = 0.25

    def pause_s(self, failures: int, random: float) -> float:
        """The pause after so many failures in a row (1 or more); `random` is in [0, 1)."""
        # 2^64 pauses are longer than any limit; the exponent must not grow out of float's range.
        doubled_s = self.first_s * 2.0 ** min(failures - 1, 64)
        return min(doubled_s, self.most_s) * (1 + self.spread * random)


@dataclass(frozen=True)
class Attempts:
    """What has become of the attempts at one certificate.

    Attributes:
        failures: In a row, up to now.
        not_before_s: The next attempt is not made earlier.
        last_error: Why the last one failed; None if it did not.
        challenge: The kind of challenge that worked last.
    """

    failures: int = 0
    not_before_s: float = 0.0
    last_error: str | None = None
    challenge: ChallengeType | None = None

    def plausible(self, now_s: float) -> "Attempts":
        """As it was kept, unless the clock was far ahead when that was written."""
        return replace(self, not_before_s=min(self.not_before_s, now_s + _MOST_RETRY_AFTER_S))

    def failed(self, error: str, next_attempt_s: float) -> "Attempts":
        """After another failure."""
        return replace(
            self, failures=self.failures + 1, last_error=error, not_before_s=next_attempt_s
        )

    def succeeded(self, challenge: ChallengeType | None) -> "Attempts":
        """After a success; None keeps the challenge, because nothing had to be proven."""
        return Attempts(challenge=challenge or self.challenge)


def renewal_s(not_before_s: float, not_after_s: float, renew_before_s: float | None) -> float:
    """When a certificate is to be renewed.

    Never in the first half of its life: a `renew_before` longer than the lifetime that the issuer
    gives would otherwise order one certificate after the other.
    """
    lifetime_s = not_after_s - not_before_s
    before_s = lifetime_s * _RENEWED_SHARE if renew_before_s is None else renew_before_s
    return not_after_s - min(before_s, lifetime_s / 2)


def next_attempt_s(
    now_s: float, failures: int, retry_after_s: float | None, backoff: Backoff, random: float
) -> float:
    """When to try again after so many failures in a row.

    Args:
        now_s: The time of the last failure.
        failures: With the last one.
        retry_after_s: How long the issuer wants to be left alone, None if it did not say.
        backoff: Pauses.
        random: In [0, 1).
    """
    wish_s = min(retry_after_s or 0.0, _MOST_RETRY_AFTER_S)
    return now_s + max(backoff.pause_s(failures, random), wish_s)


def parse_retry_after(value: str | None, now_s: float) -> float | None:
    """Seconds to wait by a `Retry-After` field (RFC 9110 §10.2.3); None if it says nothing."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_s)
    except ValueError:
        return None


def choose_challenge(
    preferred: Sequence[ChallengeType], attempts: Attempts
) -> Sequence[ChallengeType]:
    """The kinds of challenge in the order in which to look for them in an offer.

    It begins with the one that worked last, and with another one after each failure: a name that
    cannot be reached one way may be reached the other way.
    """
    first = preferred.index(attempts.challenge) if attempts.challenge in preferred else 0
    first = (first + attempts.failures) % len(preferred)
    return [*preferred[first:], *preferred[:first]]
