"""Makes vectors.json: tokens and public keys for the JWT filter's tests, by PyJWT and cryptography.

Run `python make_vectors.py` in an environment with `pyjwt` and `cryptography`. Keys are new in
every run and the private ones are thrown away, so all vectors change together.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

NOW_S = 1_700_000_000
SECRET = "0123456789abcdef0123456789abcdef"
CLAIMS = {"sub": "alice", "exp": NOW_S + 600, "iss": "https://issuer.test", "aud": "orders"}

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def main() -> None:
    """Writes vectors.json beside this file."""
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ec_key = ec.generate_private_key(ec.SECP256R1())
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    p384_key = ec.generate_private_key(ec.SECP384R1())
    vectors = {
        "now_s": NOW_S,
        "secret": SECRET,
        "rsa_public": pem(rsa_key),
        "ec_public": pem(ec_key),
        "p384_public": pem(p384_key),
        "jwks": json.dumps({"keys": jwk_set(rsa_key, ec_key, p384_key)}),
        "tokens": tokens(rsa_key, ec_key, stranger),
    }
    text = json.dumps(vectors, indent=1) + "\n"
    Path(__file__).with_name("vectors.json").write_text(text, encoding="utf-8")


def pem(key: PrivateKey) -> str:
    """The public half as SubjectPublicKeyInfo."""
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(encoding, form).decode()


def jwk_set(
    rsa_key: rsa.RSAPrivateKey, ec_key: ec.EllipticCurvePrivateKey, p384: ec.EllipticCurvePrivateKey
) -> list[dict[str, Any]]:
    """Two keys to use; three to pass over: for encryption, another curve, another kind."""
    rsa_jwk = RSAAlgorithm.to_jwk(rsa_key.public_key(), as_dict=True)
    ec_jwk = ECAlgorithm.to_jwk(ec_key.public_key(), as_dict=True)
    p384_jwk = ECAlgorithm.to_jwk(p384.public_key(), as_dict=True)
    return [
        {**rsa_jwk, "kid": "for-encryption", "use": "enc"},
        {**rsa_jwk, "kid": "rsa-1", "use": "sig", "alg": "RS256"},
        {**ec_jwk, "kid": "ec-1", "use": "sig"},
        {**p384_jwk, "kid": "p384-1", "use": "sig"},
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    ]


def tokens(
    rsa_key: rsa.RSAPrivateKey, ec_key: ec.EllipticCurvePrivateKey, stranger: rsa.RSAPrivateKey
) -> dict[str, str]:
    """Every token by name."""
    good = hs256({})
    head, body, signature = good.split(".")
    return {
        "hs256": good,
        "rs256": jwt.encode(CLAIMS, rsa_key, "RS256"),
        "rs256_kid": jwt.encode(CLAIMS, rsa_key, "RS256", headers={"kid": "rsa-1"}),
        "rs256_unknown_kid": jwt.encode(CLAIMS, rsa_key, "RS256", headers={"kid": "rsa-2"}),
        "rs256_encryption_kid": jwt.encode(
            CLAIMS, rsa_key, "RS256", headers={"kid": "for-encryption"}
        ),
        "rs256_stranger": jwt.encode(CLAIMS, stranger, "RS256"),
        "es256": jwt.encode(CLAIMS, ec_key, "ES256"),
        "es256_kid": jwt.encode(CLAIMS, ec_key, "ES256", headers={"kid": "ec-1"}),
        "es256_rsa_kid": jwt.encode(CLAIMS, ec_key, "ES256", headers={"kid": "rsa-1"}),
        "hs384": jwt.encode(CLAIMS, SECRET + SECRET, "HS384"),
        "none": jwt.encode(CLAIMS, None, "none"),
        # The classic confusion: the RSA public key, used as an HMAC secret.
        "hs256_by_public_key": by_hand({"alg": "HS256", "typ": "JWT"}, pem(rsa_key).encode()),
        "critical": jwt.encode(CLAIMS, SECRET, "HS256", headers={"crit": ["b64"], "b64": True}),
        "expired": hs256({"exp": NOW_S}),
        "expired_by_fraction": hs256({"exp": NOW_S - 0.5}),
        "without_exp": hs256({"exp": None}),
        "exp_text": by_hand({"alg": "HS256"}, SECRET.encode(), {"exp": "tomorrow"}),
        "not_before": hs256({"nbf": NOW_S + 30}),
        "other_issuer": hs256({"iss": "https://other.test"}),
        "other_audience": hs256({"aud": ["billing"]}),
        "audience_list": hs256({"aud": ["billing", "orders"]}),
        "without_audience": hs256({"aud": None}),
        "without_subject": hs256({"sub": None}),
        "client_claim": hs256({"client_id": "shop"}),
        "wrong_signature": f"{head}.{body}.{flip(signature)}",
        "changed_body": f"{head}.{encode({**CLAIMS, 'sub': 'root'})}.{signature}",
        "two_parts": f"{head}.{body}",
        "four_parts": f"{good}.x",
        "not_base64": f"{head}.{body}.***",
        "empty": "",
    }


def hs256(changes: dict[str, Any]) -> str:
    """A token with the usual claims but for `changes`; `None` leaves a claim out."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return jwt.encode(claims, SECRET, "HS256")


def by_hand(header: dict[str, Any], key: bytes, changes: dict[str, Any] | None = None) -> str:
    """A token that PyJWT refuses to make."""
    message = f"{encode(header)}.{encode({**CLAIMS, **(changes or {})})}"
    signature = hmac.new(key, message.encode(), hashlib.sha256).digest()
    return f"{message}.{unpadded(signature)}"


def encode(part: dict[str, Any]) -> str:
    """A header or a body as a token carries it."""
    return unpadded(json.dumps(part).encode())


def unpadded(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def flip(signature: str) -> str:
    """The signature with its first character changed."""
    return ("A" if signature[0] != "A" else "B") + signature[1:]


if __name__ == "__main__":
    main()
