"""One attempt at a certificate, from the lock to the file. Blocks; runs in a thread of its own.

It is alone with the issuer, also among processes that share a state folder: who comes second finds
the certificate of the first one and asks for nothing.
"""

import time

from acme import errors, messages
from josepy.errors import Error as FormatError

from trunkline.core.acme.account import forget_registration, open_client, open_network
from trunkline.core.acme.certificate import Bundle, BundleError, make_key
from trunkline.core.acme.front import AnswerBoard
from trunkline.core.acme.network import Network
from trunkline.core.acme.order import NotProvenError, Obtained, obtain
from trunkline.core.acme.schedule import Attempts, choose_challenge, renewal_s
from trunkline.core.acme.wanted import Wanted
from trunkline.core.config.acme import ChallengeType


class AttemptError(Exception):
    """An attempt failed; the message says why.

    Attributes:
        retry_after_s: How long the issuer wants to be left alone; None if it did not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def due_s(bundle: Bundle | None, wanted: Wanted) -> float:
    """When there is something to order, as far as the certificate goes; 0 for at once."""
    if bundle is None or not bundle.is_good_for(wanted.names, wanted.issuer.key_type):
        return 0.0
    before_ms = wanted.issuer.renew_before
    before_s = None if before_ms is None else before_ms / 1_000
    return renewal_s(bundle.not_before_s, bundle.not_after_s, before_s)


def attempt(wanted: Wanted, attempts: Attempts, board: AnswerBoard) -> ChallengeType | None:
    """Obtain the certificate and keep it, unless that has been done meanwhile.

    Returns:
        How its names were proven; None if that was not necessary.

    Raises:
        AttemptError: It could not be obtained.
        OSError: It could not be kept.
    """
    with wanted.issuer_store.locked():
        if due_s(wanted.store.read(), wanted) > time.time():
            return None
        network = open_network(wanted.issuer_store, wanted.ca)
        try:
            obtained, key_pem = _order(wanted, attempts, board, network)
            bundle = _checked(key_pem + obtained.chain_pem, wanted)
        except (errors.Error, NotProvenError, BundleError, FormatError, OSError) as error:
            # All but refusals come from the network here: the store's own troubles name a file.
            if isinstance(error, OSError) and error.filename is not None:
                raise
            raise AttemptError(explain(error), network.retry_after_s) from error
        wanted.store.write(bundle)
        return obtained.challenge


def _order(
    wanted: Wanted, attempts: Attempts, board: AnswerBoard, network: Network
) -> tuple[Obtained, bytes]:
    """What came, and the key it is for."""
    kinds = choose_challenge(wanted.issuer.challenges, attempts)
    # A new key for each certificate: one that leaked is of no use after the next renewal.
    key_pem = make_key(wanted.issuer.key_type)
    for is_last in (False, True):
        client = open_client(wanted.issuer, wanted.issuer_store, network)
        try:
            return obtain(client, board, wanted.names, key_pem, kinds), key_pem
        except messages.Error as error:
            # RFC 8555 §7.3.1: an issuer may have lost the account, as test servers do.
            if error.code != "accountDoesNotExist" or is_last:
                raise
            forget_registration(wanted.issuer_store)
            network.account = None
    raise AssertionError("the last round returns or raises")


def _checked(pem: bytes, wanted: Wanted) -> Bundle:
    bundle = Bundle.parse(pem)
    if not bundle.is_good_for(wanted.names, wanted.issuer.key_type):
        missing = ", ".join(sorted(wanted.names - bundle.names)) or "the names as asked"
        raise BundleError(f"the issuer sent a certificate without {missing}")
    if due_s(bundle, wanted) <= time.time():
        raise BundleError("the issuer sent a certificate that is due for renewal already")
    return bundle


def explain(error: Exception) -> str:
    """A failure in one line."""
    if isinstance(error, errors.IssuanceError):
        error = error.error
    if isinstance(error, messages.Error):
        text = f"{error.code or error.typ}: {error.detail or error.description or error.title}"
    elif isinstance(error, errors.TimeoutError):
        text = "the issuer did not decide in time"
    elif isinstance(error, OSError):
        text = f"cannot reach the issuer: {_reason(error)}"
    else:
        text = f"{error}" or type(error).__name__
    return " ".join(text.split())


def _reason(error: OSError) -> object:
    """What requests' errors are about, without the names of its layers."""
    cause = error.args[0] if error.args else error
    return getattr(cause, "reason", error)
