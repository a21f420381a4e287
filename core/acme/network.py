"""The HTTP side of an issuer: the `acme` package's, with what it leaves to its users.

Those are the issuer's own authorities, more patience for nonces, and `Retry-After` of refusals.
"""

import time
from pathlib import Path
from typing import Any

import requests
from acme import messages
from acme.client import ClientNetwork, ClientV2
from josepy.jwa import ES256
from josepy.jwk import JWK

from trunkline import __version__
from trunkline.core.acme.schedule import parse_retry_after

# An issuer answers in seconds, or something is wrong.
_REQUEST_TIMEOUT_S = 30
# RFC 8555 §6.5: a rejected nonce is a reason to retry. The package does so once; a server that
# answers from several sites may well reject two in a row.
_NONCE_ROUNDS = 3


class Network(ClientNetwork):
    """Requests to one issuer, signed with the account's key.

    Args:
        key: The account's.
        ca: Authorities to trust, None for the public ones.
    """

    key: JWK

    def __init__(self, key: JWK, ca: Path | None) -> None:
        super().__init__(
            key,
            alg=ES256,
            user_agent=f"trunkline/{__version__}",
            timeout=_REQUEST_TIMEOUT_S,
        )
        if ca is not None:
            # Passed on to requests, which takes the path of a bundle as well.
            self.verify_ssl = str(ca)  # type: ignore[assignment]
        self.retry_after_s: float | None = None
        self.session.hooks["response"].append(self._note_retry_after)

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        """As its parent, with more patience for rejected nonces.

        Raises:
            messages.Error: The issuer refuses.
        """
        for _ in range(_NONCE_ROUNDS - 1):
            try:
                return super().post(*args, **kwargs)
            except messages.Error as error:
                if error.code != "badNonce":
                    raise
        return super().post(*args, **kwargs)

    def _note_retry_after(self, response: requests.Response, **_: Any) -> None:
        """Of each response: the package drops the headers of those that it makes an error of."""
        value = response.headers.get("Retry-After")
        self.retry_after_s = parse_retry_after(value, time.time())


class Client(ClientV2):
    """The package's client, on a network of ours."""

    net: Network
