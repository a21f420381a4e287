"""API keys and JSON Web Tokens: who passes, as whom, and what the others are told."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from testkit.client import Response
from testkit.gateway import Gateway, seen
from testkit.trunkline import Trunkline

CONSUMERS = """
consumers.alice.keys = ["key-of-alice", "second key & more"]
consumers.bob.keys = ["key-of-bob"]
"""
AS_WHOM = 'backend.headers.set.X-Consumer = "{consumer}"'
CHALLENGE = 'ApiKey realm="api"'


def api_key(keys: str = "") -> str:
    return f'filters = [{{ type = "api_key"{keys} }}]\n{AS_WHOM}'


def refusal(answer: Response) -> tuple[int, str, list[str]]:
    """Status, reason, challenges."""
    code = json.loads(answer.body)["error"]
    assert answer.value("content-type") == "application/json"
    return answer.status, code, answer.values("www-authenticate")


KEYS = {
    # keys of the filter, target, line, consumer or refusal
    "header": ("", "/", "X-API-Key: key-of-alice", "alice"),
    "second key": ("", "/", "x-api-key: second key & more", "alice"),
    "another header": (', header = "X-Key"', "/", "X-Key: key-of-bob", "bob"),
    "query": (', query = "key"', "/?key=key-of-bob", "X: y", "bob"),
    "encoded query": (', query = "k"', "/?k=second+key%20%26%20more", "X: y", "alice"),
    "header before query": (
        ', header = "X-Key", query = "key"',
        "/?key=key-of-bob",
        "X-Key: key-of-alice",
        "alice",
    ),
    "one who may": (', consumers = "bob"', "/", "X-API-Key: key-of-bob", "bob"),
    "missing": ("", "/", "X: y", (401, "api_key_missing", [CHALLENGE])),
    "missing in the query": (
        ', query = "key"',
        "/?k=1",
        "X-API-Key: key-of-bob",
        (401, "api_key_missing", [CHALLENGE]),
    ),
    "unknown": ("", "/", "X-API-Key: key-of-alic", (401, "api_key_unknown", [CHALLENGE])),
    "empty": ("", "/", "X-API-Key:", (401, "api_key_unknown", [CHALLENGE])),
    "one who may not": (
        ', consumers = ["bob"]',
        "/",
        "X-API-Key: key-of-alice",
        (403, "consumer_forbidden", []),
    ),
    "twice": (
        "",
        "/",
        "X-API-Key: key-of-bob\r\nX-API-Key: key-of-bob",
        (400, "credentials_repeated", []),
    ),
    "twice in the query": (
        ', query = "key"',
        "/?key=key-of-bob&k%65y=1",
        "X: y",
        (400, "credentials_repeated", []),
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_api_keys(gateway: Gateway, name: str) -> None:
    keys, target, line, expected = KEYS[name]
    gateway.serve({"it": api_key(keys)}, gateway=CONSUMERS)
    answer = gateway.ask(target, line)
    if isinstance(expected, str):
        assert seen(answer).values("x-consumer") == [expected]
        assert gateway.log()[0]["consumer"] == expected
    else:
        assert refusal(answer) == expected
        assert gateway.failures(reason=expected[1]) == 1
        assert gateway.log()[0]["reason"] == expected[1]


def test_the_upstream_does_not_see_the_key(gateway: Gateway) -> None:
    """Whichever of the two places it came in, it is taken out of both."""
    gateway.serve(
        {
            "hidden": 'prefix = "/hidden"\n' + api_key(', header = "X-Key", query = "key"'),
            "shown": 'prefix = "/shown"\n' + api_key(', query = "key", forward = true'),
        },
        gateway=CONSUMERS,
    )
    for target, line in (
        ("/hidden?a=1&key=key-of-bob&b", "X: y"),
        ("/hidden?key=x", "X-Key: key-of-bob"),
    ):
        answer = gateway.ask(target, line)
        assert b"key" not in answer.body.lower()
    assert seen(gateway.ask("/hidden?a=1&key=key-of-bob&b")).target == "/hidden?a=1&b"
    assert seen(gateway.ask("/shown?key=key-of-bob")).target == "/shown?key=key-of-bob"


def test_a_key_that_was_taken_out_is_out_at_once(gateway: Gateway) -> None:
    gateway.serve({"it": api_key()}, gateway=CONSUMERS)
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: key-of-bob\r\n\r\n"
    with gateway.client() as client:
        assert client.request(head).status == 200
        gateway.change({"it": api_key()}, gateway='consumers.alice.keys = ["key-of-alice"]')
        assert client.request(head).status == 401


SECRET = "a secret of more than thirty-two bytes"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_EC_KEY = ec.generate_private_key(ec.SECP256R1())
Signer = tuple[str, Any]  # algorithm, key
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def pem(key: PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def token(signer: Signer = ("HS256", SECRET), kid: str = "", **claims: object) -> str:
    """One that passes, unless the claims say otherwise; a claim of None is left out."""
    now = int(time.time())
    body: dict[str, object] = {"sub": "carol", "iss": "issuer", "aud": "shop", "exp": now + 60}
    kept = {name: value for name, value in (body | claims).items() if value is not None}
    return _sign(kept, signer, {"kid": kid} if kid else {})


def _sign(claims: dict[str, object], signer: Signer, header: dict[str, object]) -> str:
    """PyJWT checks the types of claims it knows, so it gets them as bytes."""
    algorithm, key = signer
    payload = json.dumps(claims).encode()
    return jwt.api_jws.encode(payload, key, algorithm=algorithm, headers={"typ": "JWT", **header})


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def with_claims(original: str, **claims: object) -> str:
    """Other claims under the same signature."""
    header, _, signature = original.split(".")
    return ".".join([header, encoded(claims), signature])


def with_header(original: str, **header: object) -> str:
    """Another header under the same signature."""
    return ".".join([encoded(header), *original.split(".")[1:]])


@pytest.fixture(scope="module", autouse=True)
def key_files(trunkline: Trunkline) -> None:
    """Beside the configuration, which names them relatively."""
    folder = trunkline.directory
    (folder / "rsa.pem").write_text(pem(RSA_KEY))
    (folder / "ec.pem").write_text(pem(EC_KEY))
    algorithms: dict[str, tuple[str, PrivateKey]] = {
        "rsa-1": ("RS256", RSA_KEY),
        "ec-1": ("ES256", EC_KEY),
    }
    keys = []
    for kid, (name, key) in algorithms.items():
        algorithm: Any = jwt.get_algorithm_by_name(name)
        public = algorithm.to_jwk(key.public_key(), as_dict=True)
        keys.append({**public, "kid": kid, "alg": name, "use": "sig"})
    (folder / "keys.jwks").write_text(json.dumps({"keys": keys}))


def jwt_api(algorithm: str, key: str, more: str = "") -> str:
    algorithms = json.dumps(algorithm.split())
    return f'filters = [{{ type = "jwt", algorithms = {algorithms}, {key}{more} }}]\n{AS_WHOM}'


HS256 = jwt_api("HS256", f'secret = "{SECRET}"', ', issuer = "issuer", audience = "shop"')
RS256 = jwt_api("RS256", 'public_key_file = "rsa.pem"')
ES256 = jwt_api("ES256", 'public_key_file = "ec.pem"')
JWKS = jwt_api("RS256 ES256", 'jwks_file = "keys.jwks"')
LENIENT = jwt_api("HS256", f'secret = "{SECRET}"', ', leeway = "10s", consumer_claim = "client"')
RSA_SIGNER, EC_SIGNER = ("RS256", RSA_KEY), ("ES256", EC_KEY)

GOOD: dict[str, tuple[str, Callable[[], str], str]] = {
    "HS256": (HS256, token, "carol"),
    "one of several audiences": (HS256, lambda: token(aud=["a", "shop"]), "carol"),
    "RS256": (RS256, lambda: token(RSA_SIGNER), "carol"),
    "ES256": (ES256, lambda: token(EC_SIGNER, sub="dave"), "dave"),
    "RS256 of a set": (JWKS, lambda: token(RSA_SIGNER, "rsa-1"), "carol"),
    "ES256 of a set": (JWKS, lambda: token(EC_SIGNER, "ec-1"), "carol"),
    "a set without kid": (JWKS, lambda: token(EC_SIGNER), "carol"),
    "another claim": (LENIENT, lambda: token(client="app"), "app"),
    "just expired": (LENIENT, lambda: token(client="a", exp=int(time.time()) - 2), "a"),
    "valid in a moment": (LENIENT, lambda: token(client="a", nbf=int(time.time()) + 5), "a"),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_tokens(gateway: Gateway, name: str) -> None:
    """The second time it comes from the cache."""
    api, make, consumer = GOOD[name]
    gateway.serve({"it": api})
    line = f"Authorization: Bearer {make()}"
    for _ in range(2):
        assert seen(gateway.ask("/", line)).values("x-consumer") == [consumer]
    assert {entry["consumer"] for entry in gateway.log(2)} == {consumer}


SIGNATURE = ("jwt_signature", "the signature is wrong")
EXPIRED = ("jwt_expired", "the token has expired")
UNSUPPORTED = ("jwt_unsupported", "the algorithm is not accepted here")
NO_KEY = ("jwt_key_unknown", "no key fits the token")
MALFORMED = ("jwt_malformed", "the token is malformed")
AUDIENCE = ("jwt_audience", "the token is for another audience")
NOBODY = ("jwt_consumer", "the token names nobody")

BAD: dict[str, tuple[str, Callable[[], str], tuple[str, str]]] = {
    "expired": (HS256, lambda: token(exp=int(time.time()) - 1), EXPIRED),
    "for ever": (HS256, lambda: token(exp=None), EXPIRED),
    "not yet": (
        HS256,
        lambda: token(nbf=int(time.time()) + 30),
        ("jwt_not_yet_valid", "the token is not valid yet"),
    ),
    "wrong issuer": (
        HS256,
        lambda: token(iss="other"),
        ("jwt_issuer", "the issuer is not accepted here"),
    ),
    "wrong audience": (HS256, lambda: token(aud=["a", "b"]), AUDIENCE),
    "no audience": (HS256, lambda: token(aud=None), AUDIENCE),
    "no claim that names the consumer": (LENIENT, token, NOBODY),
    "which is no text": (LENIENT, lambda: token(client=7), NOBODY),
    "subject of a wrong type": (HS256, lambda: token(sub=["carol"]), MALFORMED),
    "wrong secret": (HS256, lambda: token(("HS256", SECRET[::-1])), SIGNATURE),
    "wrong RSA key": (RS256, lambda: token(("RS256", OTHER_RSA_KEY)), SIGNATURE),
    "wrong EC key": (ES256, lambda: token(("ES256", OTHER_EC_KEY)), SIGNATURE),
    "wrong key of a set": (JWKS, lambda: token(("RS256", OTHER_RSA_KEY), "rsa-1"), SIGNATURE),
    "unknown key id": (JWKS, lambda: token(RSA_SIGNER, "rsa-2"), NO_KEY),
    "id of another key": (JWKS, lambda: token(RSA_SIGNER, "ec-1"), NO_KEY),
    "claims changed": (HS256, lambda: with_claims(token(), sub="root", exp=2**40), SIGNATURE),
    "no signature": (HS256, lambda: token().rpartition(".")[0] + ".", SIGNATURE),
    "alg none": (HS256, lambda: with_header(token(), alg="none"), MALFORMED),
    "alg none, unsigned": (
        RS256,
        lambda: with_header(token(), alg="none").rpartition(".")[0] + ".",
        MALFORMED,
    ),
    "alg of another kind": (RS256, lambda: token(("HS256", SECRET)), UNSUPPORTED),
    "alg HS512": (HS256, lambda: token(("HS512", SECRET * 2)), UNSUPPORTED),
    "critical extension": (
        HS256,
        lambda: with_header(token(), alg="HS256", crit=["b64"], b64=False),
        UNSUPPORTED,
    ),
    "two parts": (HS256, lambda: token().rpartition(".")[0], MALFORMED),
    "four parts": (HS256, lambda: token() + ".x", MALFORMED),
    "not base64": (HS256, lambda: "a!.b!.c!", MALFORMED),
    "not JSON": (HS256, lambda: "YQ.YQ.YQ", MALFORMED),
    "empty": (HS256, lambda: ".", MALFORMED),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tokens(gateway: Gateway, name: str) -> None:
    api, make, (reason, description) = BAD[name]
    gateway.serve({"it": api})
    told = f'Bearer realm="api", error="invalid_token", error_description="{description}"'
    answer = gateway.ask("/", f"Authorization: Bearer {make()}")
    assert refusal(answer) == (401, reason, [told])
    assert gateway.failures(reason=reason) == 1


@pytest.mark.parametrize("line", ["X: y", "Authorization: Basic YTpi", "Authorization: Bearer"])
def test_no_token(gateway: Gateway, line: str) -> None:
    """Nothing is wrong with what did not come (RFC 6750 §3.1)."""
    gateway.serve({"it": HS256})
    assert refusal(gateway.ask("/", line)) == (401, "jwt_missing", ['Bearer realm="api"'])


def test_two_tokens(gateway: Gateway) -> None:
    gateway.serve({"it": HS256})
    line = f"Authorization: Bearer {token()}"
    assert refusal(gateway.ask("/", line, line)) == (400, "credentials_repeated", [])


def test_a_token_may_name_nobody(gateway: Gateway) -> None:
    """As long as no claim is asked for by name."""
    gateway.serve({"it": HS256})
    assert gateway.ask("/", f"Authorization: Bearer {token(sub=None)}").status == 200
    assert "consumer" not in gateway.log()[0]


@pytest.mark.parametrize(
    ("subject", "sent"),
    [("a\r\nX-Admin: 1", "a%0D%0AX-Admin: 1"), ("a\0b", "a%00b"), ("%0D", "%0D")],
)
def test_a_name_builds_no_header(gateway: Gateway, subject: str, sent: str) -> None:
    """Whatever an issuer signs; the log has it as it is, escaped as JSON wants it."""
    gateway.serve({"it": HS256})
    answer = seen(gateway.ask("/", f"Authorization: Bearer {token(sub=subject)}"))
    assert (answer.values("x-consumer"), answer.values("x-admin")) == ([sent], [])
    assert gateway.log()[0]["consumer"] == subject


def test_the_public_key_is_no_secret(gateway: Gateway) -> None:
    """Who signs with what everybody knows gets nowhere (RFC 8725 §2.1)."""
    gateway.serve({"it": RS256})
    now = int(time.time())
    unsigned = f"{encoded({'alg': 'HS256'})}.{encoded({'sub': 'root', 'exp': now + 60})}"
    hmac: Any = jwt.get_algorithm_by_name("HS256")
    signature = hmac.sign(unsigned.encode(), pem(RSA_KEY).encode())
    forged = f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
    assert refusal(gateway.ask("/", f"Authorization: Bearer {forged}"))[1] == "jwt_unsupported"


def test_a_token_goes_on_unless_told_otherwise(gateway: Gateway) -> None:
    key = f'secret = "{SECRET}"'
    gateway.serve(
        {
            "shown": 'path = "/shown"\n' + jwt_api("HS256", key),
            "hidden": 'path = "/hidden"\n' + jwt_api("HS256", key, ", forward = false"),
        }
    )
    line = f"Authorization: Bearer {token()}"
    assert len(seen(gateway.ask("/shown", line)).values("authorization")) == 1
    assert seen(gateway.ask("/hidden", line)).values("authorization") == []


def test_new_keys_count_at_once(gateway: Gateway) -> None:
    """Tokens that were accepted are forgotten with the key that signed them."""
    gateway.serve({"it": HS256})
    line = f"Authorization: Bearer {token()}"
    assert gateway.ask("/", line).status == 200
    gateway.change({"it": HS256.replace(SECRET, SECRET[::-1])})
    assert refusal(gateway.ask("/", line))[1] == "jwt_signature"
