"""Certificates from a real ACME server, Pebble; a small front of the test kit answers challenges.

What goes wrong here goes wrong for real: servers stop, freeze and refuse.
"""

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest
from acme import errors, messages

from testkit.acme import (
    BLOCKED_NAME,
    EXTERNAL_ACCOUNT,
    ChallengeFront,
    LimitedDirectory,
    Pebble,
    write_self_signed,
)
from testkit.faultproxy import Fault, FaultProxy, Then
from testkit.loopthread import LoopThread
from testkit.ports import free_port
from testkit.waiting import wait_until
from trunkline.core.acme.account import open_client, open_network
from trunkline.core.acme.certificate import Bundle
from trunkline.core.acme.challenge import Chosen
from trunkline.core.acme.network import Client
from trunkline.core.acme.order import await_decision
from trunkline.core.acme.renewal import Renewal
from trunkline.core.acme.schedule import Backoff
from trunkline.core.acme.store import IssuerStore
from trunkline.core.acme.wanted import WantedCertificates
from trunkline.core.config.acme import AcmeCertificate, AcmeIssuer

# Hosts that recover within a test need a short first pause.
QUICK = Backoff(first_s=0.1, most_s=0.5)


class Care:
    """The care for certificates as the life cycle runs it, on a loop of its own.

    Args:
        front: Answers challenges.
        state: The state folder.
        issuer: The only one.
        names: Of each certificate.
        backoff: Pauses after failures.
    """

    def __init__(
        self,
        front: ChallengeFront,
        state: Path,
        issuer: AcmeIssuer,
        *names: list[str],
        backoff: Backoff = QUICK,
    ) -> None:
        self.wanted = WantedCertificates({"test": issuer}, state, state)
        self.files = [self.wanted.add(AcmeCertificate(names=each)) for each in names]
        self.installed = 0
        self.refuse_to_install = False
        self._loop = LoopThread("care")
        self._renewal = self._loop.call(self._start(front, backoff))

    async def _start(self, front: ChallengeFront, backoff: Backoff) -> Renewal:
        renewal = Renewal(front, self._install, backoff)
        renewal.update(self.wanted.all())
        return renewal

    async def _install(self) -> None:
        if self.refuse_to_install:
            raise RuntimeError("not now")
        self.installed += 1

    def status(self, number: int = 0) -> dict[str, Any]:
        async def ask() -> list[dict[str, Any]]:
            return self._renewal.status()

        return self._loop.call(ask())[number]

    def retry(self, name: str) -> None:
        async def ask() -> None:
            self._renewal.retry(name)

        self._loop.call(ask())

    def wait_installed(self, count: int = 1) -> Bundle:
        """The first certificate once so many were installed and no attempt has failed since."""
        wait_until(
            lambda: self.installed >= count and self.status()["failures"] == 0,
            timeout_s=20,
            what=f"{count} certificates, {self.status()}",
        )
        return Bundle.parse(self.files[0].read_bytes())

    def wait_failed(self, text: str, number: int = 0) -> dict[str, Any]:
        """The status once an attempt has failed with such an error."""
        wait_until(
            lambda: text in (self.status(number)["last_error"] or ""),
            timeout_s=20,
            what=f'the error "{text}", {self.status(number)}',
        )
        return self.status(number)

    def stop(self) -> None:
        self._loop.call(self._renewal.stop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.stop()


@pytest.fixture
def front(tmp_path: Path) -> Iterator[ChallengeFront]:
    with ChallengeFront(tmp_path) as answering:
        yield answering


@pytest.fixture
def pebble(tmp_path: Path, front: ChallengeFront) -> Iterator[Pebble]:
    with Pebble(tmp_path, http_port=front.http_port, tls_port=front.tls_port) as running:
        yield running


@pytest.fixture
def short_lived(tmp_path: Path, front: ChallengeFront) -> Iterator[Pebble]:
    http_port, tls_port = front.http_port, front.tls_port
    with Pebble(tmp_path, http_port=http_port, tls_port=tls_port, lifetime_s=6) as running:
        yield running


def issuer_of(pebble: Pebble, **settings: Any) -> AcmeIssuer:
    given = {"directory": pebble.directory_url, "ca": str(pebble.ca), "accept_terms": True}
    return AcmeIssuer.model_validate({**given, **settings})


def shake_hands(bundle: Path, authority: str, name: str) -> None:
    """A TLS handshake in memory: the certificate must lead to the authority and be for the name."""
    client, server = ssl.create_default_context(cadata=authority), _server(bundle)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(down, up, server_hostname=name),
        server.wrap_bio(up, down, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)


def _server(bundle: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle)
    return context


def test_a_certificate_by_tls(front: ChallengeFront, pebble: Pebble, tmp_path: Path) -> None:
    names = ["b.example", "a.example"]
    with Care(front, tmp_path, issuer_of(pebble), names) as care:
        stand_in = Bundle.parse(care.files[0].read_bytes())
        assert stand_in.is_self_signed
        assert stand_in.names == {"a.example", "b.example"}
        obtained = care.wait_installed()
        status = care.status()
    assert set(front.answered) == {"tls-alpn-01"}
    assert front.offered == {"a.example", "b.example"}
    assert front.certificates == {}
    assert obtained.names == {"a.example", "b.example"}
    for name in names:
        shake_hands(care.files[0], pebble.root(), name)
    assert status["state"] == "issued"
    assert status["names"] == ["a.example", "b.example"]
    assert status["not_after"] == obtained.not_after_s
    third_s = (obtained.not_after_s - obtained.not_before_s) / 3
    assert status["next_attempt"] == pytest.approx(obtained.not_after_s - third_s)


def test_a_certificate_by_http(front: ChallengeFront, pebble: Pebble, tmp_path: Path) -> None:
    issuer = issuer_of(pebble, challenges=["http-01"], key_type="rsa2048")
    with Care(front, tmp_path, issuer, ["a.example"]) as care:
        assert care.wait_installed().key_type == "rsa2048"
    assert set(front.answered) == {"http-01"}
    assert front.challenges == {}
    shake_hands(care.files[0], pebble.root(), "a.example")


def test_the_other_challenge_after_a_failure(front: ChallengeFront, tmp_path: Path) -> None:
    with (
        Pebble(tmp_path, http_port=front.http_port, tls_port=free_port()) as pebble,
        Care(front, tmp_path, issuer_of(pebble), ["a.example"]) as care,
    ):
        care.wait_failed("a.example: tls-alpn-01: ")
        care.wait_installed()
        assert set(front.answered) == {"http-01"}
        store = care.wanted.all()[0].store
        # The next renewal begins with what works. The file follows the status.
        wait_until(
            lambda: store.read_attempts().challenge == "http-01", timeout_s=5, what="the outcome"
        )


def test_a_restart_takes_up_what_is_there(
    front: ChallengeFront, pebble: Pebble, tmp_path: Path
) -> None:
    with Care(front, tmp_path, issuer_of(pebble), ["a.example"]) as care:
        first = care.wait_installed()
    with Care(front, tmp_path, issuer_of(pebble), ["a.example"], ["b.example"]) as again:
        # Its turn comes after the first one's.
        wait_until(lambda: again.installed, timeout_s=20, what="the certificate of b.example")
        assert again.files[0].read_bytes() == first.pem
        assert again.status(1)["state"] == "issued"
    assert pebble.issued == 2
    assert len(list((tmp_path / "acme").iterdir())) == 1


def test_one_order_for_two_processes(front: ChallengeFront, pebble: Pebble, tmp_path: Path) -> None:
    with (
        Care(front, tmp_path, issuer_of(pebble), ["a.example"]) as one,
        Care(front, tmp_path, issuer_of(pebble), ["a.example"]) as other,
    ):
        assert one.wait_installed() == other.wait_installed()
    assert pebble.issued == 1


def test_renewal(front: ChallengeFront, short_lived: Pebble, tmp_path: Path) -> None:
    with Care(front, tmp_path, issuer_of(short_lived), ["a.example"]) as care:
        first = care.wait_installed()
        second = care.wait_installed(2)
    assert second.pem != first.pem
    due_s = first.not_after_s - (first.not_after_s - first.not_before_s) / 3
    assert int(due_s) <= second.not_before_s < first.not_after_s


def test_a_failed_renewal_leaves_the_old_one(
    front: ChallengeFront, short_lived: Pebble, tmp_path: Path
) -> None:
    with Care(front, tmp_path, issuer_of(short_lived), ["a.example"]) as care:
        first = care.wait_installed()
        short_lived.fail()
        status = care.wait_failed("cannot reach the issuer: ")
        assert care.files[0].read_bytes() == first.pem
        assert status["state"] == "issued"
        assert status["next_attempt"] > time.time() - 1
        # The new one has never heard of our account.
        short_lived.come_back()
        assert care.wait_installed(2).pem != first.pem


def test_an_issuer_that_rejects_nonces_and_knows_its_customers(
    front: ChallengeFront, tmp_path: Path
) -> None:
    kid, hmac_key = EXTERNAL_ACCOUNT
    with Pebble(
        tmp_path,
        http_port=front.http_port,
        tls_port=front.tls_port,
        rejected_nonces=30,
        needs_external_account=True,
    ) as pebble:
        with Care(front, tmp_path, issuer_of(pebble), ["a.example"]) as care:
            care.wait_failed("externalAccountRequired: ")
        issuer = issuer_of(pebble, external_account={"kid": kid, "hmac_key": hmac_key})
        with Care(front, tmp_path, issuer, ["a.example"]) as care:
            care.wait_installed()


def test_a_refused_name_is_no_hindrance_for_others(
    front: ChallengeFront, pebble: Pebble, tmp_path: Path
) -> None:
    names = ([BLOCKED_NAME], ["a.example"])
    with Care(front, tmp_path, issuer_of(pebble), *names, backoff=Backoff()) as care:
        status = care.wait_failed("rejectedIdentifier: ")
        wait_until(lambda: care.installed, timeout_s=20, what="the other certificate")
        assert status["state"] == "stand_in"
        assert 120 <= status["next_attempt"] - time.time() + 1 <= 151
    assert Bundle.parse(care.files[0].read_bytes()).is_self_signed
    # A restart does not begin anew.
    with Care(front, tmp_path, issuer_of(pebble), *names) as again:
        assert again.status()["next_attempt"] == status["next_attempt"]
        assert again.status()["last_error"] == status["last_error"]


def test_an_issuer_that_wants_to_be_left_alone(
    front: ChallengeFront, pebble: Pebble, tmp_path: Path
) -> None:
    with LimitedDirectory(pebble, retry_after_s=3600) as limited:
        issuer = issuer_of(pebble, directory=limited.directory_url)
        with Care(front, tmp_path, issuer, ["a.example"]) as care:
            status = care.wait_failed("rateLimited: too many orders")
            assert 3590 < status["next_attempt"] - time.time() <= 3600
            limited.lift()
            care.retry("a.example")
            care.wait_installed()
            with pytest.raises(LookupError, match="no certificate is wanted"):
                care.retry("z.example")


def test_an_issuer_that_cannot_be_trusted(
    front: ChallengeFront, pebble: Pebble, tmp_path: Path
) -> None:
    stranger, _ = write_self_signed(tmp_path, "stranger")
    with Care(front, tmp_path, issuer_of(pebble, ca=str(stranger)), ["a.example"]) as care:
        care.wait_failed("CERTIFICATE_VERIFY_FAILED")
    with Care(front, tmp_path, issuer_of(pebble, ca="missing.pem"), ["a.example"]) as care:
        care.wait_failed("missing.pem")


def test_what_cannot_be_installed_is_not_ordered_again(
    front: ChallengeFront, pebble: Pebble, tmp_path: Path
) -> None:
    with Care(front, tmp_path, issuer_of(pebble), ["a.example"], backoff=Backoff(60, 60)) as care:
        care.refuse_to_install = True
        care.wait_failed("RuntimeError: not now")
        care.refuse_to_install = False
        care.retry("a.example")
        care.wait_installed()
    assert pebble.issued == 1


def test_a_stop_does_not_wait_for_the_issuer(
    front: ChallengeFront, pebble: Pebble, tmp_path: Path
) -> None:
    with FaultProxy(pebble.port) as proxy:
        proxy.set_downlink(Fault(then=Then.FREEZE))
        directory = pebble.directory_url.replace(str(pebble.port), str(proxy.port))
        with Care(front, tmp_path, issuer_of(pebble, directory=directory), ["a.example"]) as care:
            begun_s = time.monotonic()
            care.stop()
            assert time.monotonic() - begun_s < 5


def test_the_account_follows_the_configuration(pebble: Pebble, tmp_path: Path) -> None:
    store = IssuerStore(tmp_path, pebble.directory_url)
    urls = []
    for email in (None, "ops@shop.example", "web@shop.example"):
        client = open_client(issuer_of(pebble, email=email), store, open_network(store, pebble.ca))
        assert client.net.account is not None
        account = client.query_registration(client.net.account)
        urls.append(account.uri)
        assert account.body.emails == ((email,) if email else ())
    # Interrupted between the registration and its reply.
    kept = store.read_account()
    assert kept is not None
    store.write_account(type(kept)(kept.key_pem))
    open_client(issuer_of(pebble), store, open_network(store, pebble.ca))
    found = store.read_account()
    assert found is not None
    assert {*urls, found.url} == {urls[0]}


class Undecided:
    """An issuer that never decides, and wants to be asked again in an hour."""

    net = SimpleNamespace(retry_after_s=3_600.0)

    def poll(
        self, authorization: messages.AuthorizationResource
    ) -> tuple[messages.AuthorizationResource, None]:
        return authorization, None


def test_no_wish_of_an_issuer_outlasts_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its other certificates wait for the same lock."""
    pauses_s: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses_s.append)
    body = messages.Authorization(status=messages.STATUS_PENDING)
    chosen = SimpleNamespace(authorization=messages.AuthorizationResource(body=body))
    with pytest.raises(errors.TimeoutError):
        await_decision(cast(Client, Undecided()), cast(Chosen, chosen), time.monotonic() + 0.05)
    assert pauses_s
    assert max(pauses_s) <= 0.05
