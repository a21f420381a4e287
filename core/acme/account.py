"""Our account with an issuer: made once, found again after a restart (RFC 8555 §7.3).

The key is kept before the issuer hears of it, so an interrupted registration is found by its key.
"""

from pathlib import Path

from acme import errors, messages
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from josepy.jwk import JWKEC

from trunkline.core.acme.certificate import make_key
from trunkline.core.acme.network import Client, Network
from trunkline.core.acme.store import Account, IssuerStore
from trunkline.core.config.acme import AcmeIssuer


def open_client(issuer: AcmeIssuer, store: IssuerStore, network: Network) -> Client:
    """A client with an account; registers if there is none.

    Raises:
        OSError: The issuer cannot be reached, or the account not be kept.
        errors.Error: The issuer refuses.
    """
    client = Client(Client.get_directory(issuer.directory, network), network)
    account = read_or_make(store)
    if account.url is None:
        _register(client, issuer, store, account)
        return client
    network.account = _resource(account.url)
    if account.email != issuer.email:
        contact = messages.Registration(contact=(f"mailto:{issuer.email}",) if issuer.email else ())
        client.update_registration(network.account, contact)
        store.write_account(Account(account.key_pem, account.url, issuer.email))
    return client


def open_network(store: IssuerStore, ca: Path | None) -> Network:
    """The network with the account's key.

    Raises:
        OSError: The key cannot be kept.
    """
    return Network(load_key(read_or_make(store)), ca)


def forget_registration(store: IssuerStore) -> None:
    """The issuer does not know the account any more: the next client registers its key anew.

    Raises:
        OSError: That cannot be kept.
    """
    store.write_account(Account(read_or_make(store).key_pem))


def read_or_make(store: IssuerStore) -> Account:
    """The account; a new key without a registration if there is none.

    Raises:
        OSError: It cannot be kept.
    """
    account = store.read_account()
    if account is None:
        account = Account(make_key("p256").decode())
        store.write_account(account)
    return account


def load_key(account: Account) -> JWKEC:
    """The account's key as the package wants it."""
    return JWKEC(key=load_pem_private_key(account.key_pem.encode(), password=None))


def _register(client: Client, issuer: AcmeIssuer, store: IssuerStore, account: Account) -> None:
    binding = None
    if issuer.external_account is not None:
        binding = messages.ExternalAccountBinding.from_data(
            client.net.key.public_key(),
            issuer.external_account.kid,
            issuer.external_account.hmac_key.get_secret_value(),
            client.directory,
        )
    request = messages.NewRegistration.from_data(
        email=issuer.email, terms_of_service_agreed=True, external_account_binding=binding
    )
    try:
        url = client.new_account(request).uri
    except errors.ConflictError as error:
        # The issuer has this key already.
        url = error.location
    client.net.account = _resource(url)
    store.write_account(Account(account.key_pem, url, issuer.email))


def _resource(url: str) -> messages.RegistrationResource:
    return messages.RegistrationResource(uri=url, body=messages.Registration())
