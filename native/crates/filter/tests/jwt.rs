//! The JWT filter against tokens that `PyJWT` made (`vectors/jwt/make_vectors.py`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::{Outcome, SECOND_NS, chain, errors, send, send_at};
use serde_json::{Value, json};
use trunkline_filter::Chain;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/jwt/vectors.json")).unwrap()
}

fn token(name: &str) -> String {
    vectors()["tokens"][name].as_str().unwrap_or_else(|| panic!("no token {name}")).to_owned()
}

fn jwt(settings: &Value) -> Chain {
    chain(&json!([with_type(settings)]).to_string())
}

fn with_type(settings: &Value) -> Value {
    let mut filter = settings.clone();
    filter["type"] = json!("jwt");
    filter
}

fn bearer(chain: &Chain, name: &str) -> Outcome {
    send(chain, &format!("GET /\nAuthorization: Bearer {}", token(name)))
}

#[test]
fn each_kind_of_key_verifies_its_own_algorithm_and_no_other() {
    let vectors = vectors();
    let secret = jwt(&json!({"algorithms": ["HS256"], "secret": vectors["secret"]}));
    let rsa = jwt(&json!({"algorithms": ["RS256"], "public_key": vectors["rsa_public"]}));
    let elliptic = jwt(&json!({"algorithms": ["ES256"], "public_key": vectors["ec_public"]}));
    let set = jwt(&json!({"algorithms": ["RS256", "ES256"], "jwks": vectors["jwks"]}));
    let cases = [
        (&secret, "hs256", "continue"),
        (&secret, "rs256", "jwt_unsupported"),
        (&secret, "hs384", "jwt_unsupported"),
        (&secret, "none", "jwt_malformed"),
        (&secret, "critical", "jwt_unsupported"),
        (&secret, "hs256_by_public_key", "jwt_signature"),
        (&secret, "wrong_signature", "jwt_signature"),
        (&secret, "changed_body", "jwt_signature"),
        (&secret, "two_parts", "jwt_malformed"),
        (&secret, "four_parts", "jwt_malformed"),
        (&secret, "not_base64", "jwt_malformed"),
        (&secret, "exp_text", "jwt_malformed"),
        (&rsa, "rs256", "continue"),
        (&rsa, "rs256_kid", "continue"),
        (&rsa, "rs256_stranger", "jwt_signature"),
        (&rsa, "hs256", "jwt_unsupported"),
        (&rsa, "hs256_by_public_key", "jwt_unsupported"),
        (&elliptic, "es256", "continue"),
        (&elliptic, "rs256", "jwt_unsupported"),
        (&set, "rs256", "continue"),
        (&set, "rs256_kid", "continue"),
        (&set, "es256_kid", "continue"),
        (&set, "rs256_unknown_kid", "jwt_key_unknown"),
        (&set, "rs256_encryption_kid", "jwt_key_unknown"),
        (&set, "es256_rsa_kid", "jwt_key_unknown"),
        (&set, "hs256_by_public_key", "jwt_unsupported"),
    ];
    for (chain, name, reason) in cases {
        // Twice: the second answer may come from the cache and must be the same.
        for round in 0..2 {
            let outcome = bearer(chain, name);
            assert_eq!(outcome.reason(), reason, "{name}, round {round}");
            let consumer = (reason == "continue").then_some("alice");
            assert_eq!(outcome.exchange.consumer(), consumer, "{name}");
        }
    }
}

#[test]
fn claims_are_checked() {
    let base = json!({"algorithms": ["HS256"], "secret": vectors()["secret"]});
    let with = |changes: Value| {
        let mut settings = base.clone();
        settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        jwt(&settings)
    };
    let cases = [
        (json!({}), "expired", "jwt_expired"),
        (json!({}), "expired_by_fraction", "jwt_expired"),
        (json!({}), "without_exp", "jwt_expired"),
        (json!({"leeway_s": 1}), "expired", "continue"),
        (json!({}), "not_before", "jwt_not_yet_valid"),
        (json!({"leeway_s": 29}), "not_before", "jwt_not_yet_valid"),
        (json!({"leeway_s": 30}), "not_before", "continue"),
        (json!({"issuer": "https://issuer.test"}), "hs256", "continue"),
        (json!({"issuer": "https://issuer.test"}), "other_issuer", "jwt_issuer"),
        (json!({"audience": "orders"}), "hs256", "continue"),
        (json!({"audience": "orders"}), "audience_list", "continue"),
        (json!({"audience": "orders"}), "other_audience", "jwt_audience"),
        (json!({"audience": "orders"}), "without_audience", "jwt_audience"),
        (json!({}), "other_audience", "continue"),
        (json!({}), "without_subject", "continue"),
        (json!({"consumer_claim": "sub"}), "without_subject", "jwt_consumer"),
        (json!({"consumer_claim": "client_id"}), "client_claim", "continue"),
        (json!({"consumer_claim": "client_id"}), "hs256", "jwt_consumer"),
    ];
    for (settings, name, reason) in cases {
        assert_eq!(bearer(&with(settings.clone()), name).reason(), reason, "{name} {settings}");
    }
    let named = with(json!({"consumer_claim": "client_id"}));
    assert_eq!(bearer(&named, "client_claim").exchange.consumer(), Some("shop"));
}

#[test]
fn a_cached_token_expires_with_its_claim() {
    let chain = jwt(&json!({"algorithms": ["HS256"], "secret": vectors()["secret"], "leeway_s": 10}));
    let text = format!("GET /\nAuthorization: Bearer {}", token("hs256"));
    for (after_s, reason) in
        [(0, "continue"), (609, "continue"), (610, "jwt_expired"), (5_000, "jwt_expired")]
    {
        assert_eq!(send_at(&chain, &text, "192.0.2.1", after_s * SECOND_NS).reason(), reason, "{after_s} s");
    }
}

#[test]
fn the_challenge_says_what_was_wrong_with_a_token_only() {
    let chain = jwt(&json!({"algorithms": ["HS256"], "secret": vectors()["secret"]}));
    let plain = "Bearer realm=\"api\"";
    let expired =
        "Bearer realm=\"api\", error=\"invalid_token\", error_description=\"the token has expired\"";
    let cases = [
        ("GET /".to_owned(), 401, "jwt_missing", plain),
        ("GET /\nAuthorization: Basic YTpi".to_owned(), 401, "jwt_missing", plain),
        ("GET /\nAuthorization: Bear".to_owned(), 401, "jwt_missing", plain),
        (format!("GET /\nAuthorization: bEARER   {}", token("expired")), 401, "jwt_expired", expired),
        (
            "GET /\nAuthorization: Bearer a\nAuthorization: Bearer b".to_owned(),
            400,
            "credentials_repeated",
            "",
        ),
    ];
    for (text, status, reason, challenge) in cases {
        let outcome = send(&chain, &text);
        assert_eq!(outcome.answer, Some((status, reason)), "{text}");
        assert_eq!(outcome.response("www-authenticate"), challenge, "{text}");
    }
}

#[test]
fn the_token_is_forwarded_unless_told_otherwise() {
    for (forward, removed) in [(json!(true), false), (json!(false), true)] {
        let chain = jwt(&json!({"algorithms": ["HS256"], "secret": vectors()["secret"], "forward": forward}));
        let outcome = bearer(&chain, "hs256");
        assert_eq!(outcome.exchange.upstream_edits().removes("Authorization"), removed);
    }
}

#[test]
fn wrong_keys_are_refused_without_showing_them() {
    let vectors = vectors();
    let short = "hunter2-hunter2";
    let weak = r#"{"keys": [{"kty": "oct", "k": "YWJj", "alg": "HS256"}]}"#;
    let cases = [
        (json!({"algorithms": []}), "algorithms: name at least one"),
        (json!({"algorithms": ["none"], "secret": vectors["secret"]}), "algorithms[0]: \"none\" is none of"),
        (json!({"algorithms": ["HS256"]}), "secret: give one of"),
        (json!({"algorithms": ["HS256"], "secret": short}), "secret: HS256 needs at least 32 bytes"),
        (json!({"algorithms": ["RS256"], "secret": vectors["secret"]}), "secret: this key is for HS256"),
        (
            json!({"algorithms": ["RS256"], "public_key": vectors["ec_public"]}),
            "public_key: this key is for ES256",
        ),
        (
            json!({"algorithms": ["ES256"], "public_key": vectors["p384_public"]}),
            "public_key: this is not the PEM",
        ),
        (json!({"algorithms": ["ES256"], "public_key": short}), "public_key: this is not the PEM"),
        (json!({"algorithms": ["RS256"], "jwks": short}), "jwks: this is not a JWK set"),
        (json!({"algorithms": ["HS256"], "jwks": vectors["jwks"]}), "jwks: no key in it"),
        (json!({"algorithms": ["HS256"], "jwks": weak}), "jwks: keys[0]: HS256 needs at least 32"),
    ];
    for (settings, problem) in cases {
        let errors = errors(&json!([with_type(&settings)]).to_string());
        assert!(
            errors.iter().any(|error| error.contains(&format!("filters[0] jwt.{problem}"))),
            "{errors:?}"
        );
        assert!(!format!("{errors:?}").contains(short), "{errors:?}");
    }
}

#[test]
fn nothing_secret_is_in_debug_output() {
    let settings = with_type(&json!({"algorithms": ["HS256"], "secret": vectors()["secret"]}));
    let secret = vectors()["secret"].as_str().unwrap().to_owned();
    let plan: trunkline_filter::plan::Filter = serde_json::from_value(settings.clone()).unwrap();
    let compiled = jwt(&settings);
    bearer(&compiled, "hs256");
    for text in [format!("{plan:?}"), format!("{compiled:?}")] {
        assert!(!text.contains(&secret) && !text.contains(&token("hs256")), "{text}");
        let bytes = format!("{:?}", secret.as_bytes());
        assert!(!text.contains(bytes.trim_matches(['[', ']'])), "{text}");
    }
}
