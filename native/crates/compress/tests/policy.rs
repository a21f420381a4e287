//! Which responses are compressed, and what their heads say, as tables.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::json;
use trunkline_compress::{Coding, Decision, Error, Policy, plan::Compression};

type Lines<'l> = &'l [(&'l str, &'l str)];

fn bytes(lines: Lines<'_>) -> impl Iterator<Item = (&str, &[u8])> + Clone {
    lines.iter().map(|(name, value)| (*name, value.as_bytes()))
}

fn default() -> Policy {
    Policy::compile(&Compression::default()).unwrap()
}

fn decide(policy: &Policy, status: u16, length: Option<u64>, lines: Lines<'_>) -> Decision {
    policy.decide(Some(Coding::Gzip), status, length, bytes(lines))
}

/// The head that goes out, as text.
fn head(decision: Decision, lines: Lines<'_>) -> Vec<String> {
    let text = |name: &str, value: &[u8]| format!("{name}: {}", String::from_utf8_lossy(value));
    let mut out: Vec<String> = bytes(lines)
        .filter(|(name, _)| decision.keeps(name))
        .map(|(name, value)| text(name, value))
        .collect();
    decision.lines(bytes(lines), |name, value| out.push(text(name, value)));
    out
}

#[test]
fn only_what_gains_by_it_is_compressed() {
    const JSON: (&str, &str) = ("Content-Type", "application/json");
    let encode = Decision::Encode(Coding::Gzip);
    let keep = Decision::Untouched;
    let cases: &[(u16, Option<u64>, Lines<'_>, Decision)] = &[
        (200, None, &[JSON], encode),
        (200, Some(512), &[JSON], encode),
        (200, Some(511), &[JSON], keep),
        (404, Some(5_000), &[JSON], encode),
        (500, None, &[("content-type", "text/html; charset=utf-8")], encode),
        (200, None, &[("Content-Type", "application/problem+json")], encode),
        (200, None, &[("Content-Type", "image/png")], keep),
        (200, None, &[("Content-Type", "text/event-stream")], keep),
        (200, None, &[("Content-Type", "application/grpc-web+json")], keep),
        (200, None, &[], keep),
        (200, None, &[JSON, ("Content-Encoding", "br")], keep),
        (200, None, &[JSON, ("Content-Encoding", "identity")], encode),
        (200, None, &[JSON, ("Cache-Control", "max-age=1, NO-transform")], keep),
        (200, None, &[JSON, ("Cache-Control", "public"), ("cache-control", "no-transform")], keep),
        (200, None, &[JSON, ("Cache-Control", "x-no-transform-ish")], encode),
        (200, None, &[JSON, ("Content-Range", "bytes 0-1/2")], keep),
        (206, None, &[JSON], keep),
        (204, None, &[JSON], keep),
        (205, None, &[JSON], keep),
        (304, None, &[JSON], keep),
        (101, None, &[JSON], keep),
    ];
    let policy = default();
    for (status, length, lines, expected) in cases {
        assert_eq!(decide(&policy, *status, *length, lines), *expected, "{status} {length:?} {lines:?}");
    }
}

#[test]
fn who_gets_it_plain_is_told_that_others_do_not() {
    let policy = default();
    let lines = [("Content-Type", &b"text/plain"[..])];
    assert_eq!(policy.accepts([&b"deflate"[..]]), None);
    assert_eq!(policy.decide(None, 200, None, lines.into_iter()), Decision::Vary);
    assert_eq!(policy.decide(None, 200, Some(10), lines.into_iter()), Decision::Untouched);
    let vary = head(Decision::Vary, &[("ETag", "\"a\""), ("vary", "Origin"), ("Content-Length", "9")]);
    assert_eq!(vary, ["ETag: \"a\"", "Content-Length: 9", "Vary: Origin, Accept-Encoding"]);
}

#[test]
fn the_head_speaks_of_the_new_bytes() {
    let original: Lines<'_> = &[
        ("Server", "s"),
        ("Content-Type", "text/css"),
        ("Content-Length", "5000"),
        ("Accept-Ranges", "bytes"),
        ("Content-Encoding", "identity"),
        ("Content-MD5", "x"),
        ("Digest", "x"),
        ("Content-Digest", "sha-256=:x:"),
        ("Repr-Digest", "sha-256=:x:"),
        ("ETag", "\"v1\""),
        ("Last-Modified", "y"),
    ];
    let expected = [
        "Server: s",
        "Content-Type: text/css",
        "Last-Modified: y",
        "Vary: Accept-Encoding",
        "Content-Encoding: br",
        "ETag: W/\"v1\"",
    ];
    assert_eq!(head(Decision::Encode(Coding::Brotli), original), expected);
    let untouched = head(Decision::Untouched, original);
    assert_eq!((untouched.len(), untouched[0].as_str()), (original.len(), "Server: s"));
}

#[test]
fn tags_and_vary_are_not_spoilt() {
    let cases: &[(Lines<'_>, &[&str])] = &[
        (&[("ETag", "W/\"v\"")], &["Vary: Accept-Encoding", "Content-Encoding: zstd", "ETag: W/\"v\""]),
        (&[("Vary", "*")], &["Vary: *", "Content-Encoding: zstd"]),
        (
            &[("Vary", "Origin, ACCEPT-encoding")],
            &["Vary: Origin, ACCEPT-encoding", "Content-Encoding: zstd"],
        ),
        (
            &[("Vary", "Origin"), ("Vary", ""), ("Vary", "Cookie")],
            &["Vary: Origin, Cookie, Accept-Encoding", "Content-Encoding: zstd"],
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(head(Decision::Encode(Coding::Zstd), lines), *expected, "{lines:?}");
    }
}

#[test]
fn a_configuration_decides_codings_types_and_sizes() {
    let plan =
        json!({"codings": ["gzip", "br"], "types": ["image/*"], "min_bytes": 0, "levels": {"gzip": 9}});
    let policy = Policy::compile(&serde_json::from_value(plan).unwrap()).unwrap();
    assert_eq!((policy.levels().gzip, policy.levels().zstd), (9, 3));
    assert_eq!(policy.accepts([&b"zstd, br, gzip"[..]]), Some(Coding::Gzip));
    let image = [("Content-Type", &b"image/bmp"[..])];
    assert_eq!(
        policy.decide(Some(Coding::Gzip), 200, Some(0), image.into_iter()),
        Decision::Encode(Coding::Gzip)
    );
    assert!(serde_json::from_value::<Compression>(json!({"codings": ["deflate"]})).is_err());
    assert!(serde_json::from_value::<Compression>(json!({"level": 3})).is_err());
}

#[test]
fn every_mistake_has_its_key() {
    let plan = json!({"codings": ["br", "br"], "types": ["text/*", "x"], "levels": {"gzip": 0, "br": 11, "zstd": 22}});
    let errors = Policy::compile(&serde_json::from_value(plan).unwrap()).unwrap_err();
    let keys: Vec<&str> = errors
        .iter()
        .map(|error| match error {
            Error::Plan { key, .. } => key.as_str(),
            Error::Encoder { .. } => "encoder",
        })
        .collect();
    assert_eq!(keys, ["codings[1]", "levels.gzip", "levels.br", "levels.zstd", "types[1]"]);
    let none = Policy::compile(&serde_json::from_value(json!({"codings": []})).unwrap()).unwrap_err();
    assert_eq!(none[0].to_string(), "codings: must name at least one of zstd, br, gzip");
}
