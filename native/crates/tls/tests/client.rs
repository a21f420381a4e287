//! TLS to servers: who is believed, under which name, as whom, and what keeps connections apart.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kit;

use std::collections::HashSet;

use kit::{Authority, End, Folder, NOW_UNIX, client, client_with, connect, server};
use rustls::CertificateError;
use serde_json::{Value, json};
use trunkline_tls::plan::{self, Protocol};
use trunkline_tls::{ClientTls, Error, Problem};

fn refused(result: Result<kit::Pair, End>) -> Error {
    match result {
        Err(End::Client(error)) => error,
        Err(End::Server(error)) => panic!("the server ended it: {error}"),
        Ok(_) => panic!("believed"),
    }
}

#[test]
fn a_server_must_prove_its_name_to_a_known_authority() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let site =
        server(json!({"certificates": [authority.p256("site", &["site.example", "203.0.113.9"]).entry()]}));
    let ours = client(&authority);
    for name in ["site.example", "SITE.example.", "203.0.113.9"] {
        assert!(connect(&ours, &site, name).is_ok(), "{name}");
    }
    for name in ["other.example", "203.0.113.10", "[2001:db8::1]"] {
        let error = refused(connect(&ours, &site, name));
        assert!(
            matches!(error, Error::BadServerCertificate(CertificateError::NotValidForNameContext { .. })),
            "{error:?}"
        );
        assert_eq!(error.reason(), "tls_bad_server_certificate");
    }
    let error = refused(connect(&client(&stranger), &site, "site.example"));
    assert!(matches!(error, Error::BadServerCertificate(_)), "{error:?}");
    assert_eq!(ours.session("a b").unwrap_err(), Error::BadServerName);
}

#[test]
fn the_systems_authorities_do_not_know_ours() {
    let authority = Authority::new();
    let site = server(json!({"certificates": [authority.p256("site", &["site.example"]).entry()]}));
    let system = client_with(json!({}), Protocol::Http11);
    let error = refused(connect(&system, &site, "site.example"));
    assert!(matches!(error, Error::BadServerCertificate(CertificateError::UnknownIssuer)), "{error:?}");
}

#[test]
fn verification_is_left_out_only_when_told() {
    let authority = Authority::new();
    let site = server(json!({"certificates": [authority.p256("site", &["site.example"]).entry()]}));
    let trusting = client_with(json!({"verify": false}), Protocol::Http11);
    let mut pair = connect(&trusting, &site, "whatever.example").unwrap();
    assert_eq!(pair.send_up(b"hello"), b"hello");
}

#[test]
fn another_name_can_be_asked_for() {
    let authority = Authority::new();
    let entry = authority.p256("site", &["site.example"]).entry();
    let site = server(json!({"certificates": [entry], "strict_sni": true}));
    let renamed = client_with(json!({"ca": authority.ca, "server_name": "site.example"}), Protocol::Http11);
    let pair = connect(&renamed, &site, "10.0.0.1").unwrap();
    assert_eq!(pair.server.session.server_name(), Some("site.example"));
}

#[test]
fn exactly_one_protocol_is_offered() {
    let authority = Authority::new();
    let entry = authority.p256("site", &["site.example"]).entry();
    let site = server(json!({"certificates": [entry], "alpn": ["http/1.1"]}));
    let pair = connect(&client(&authority), &site, "site.example").unwrap();
    assert_eq!(pair.client.session.alpn(), Some(&b"http/1.1"[..]));
    let h2 = client_with(json!({"ca": authority.ca}), Protocol::Http2);
    assert!(matches!(connect(&h2, &site, "site.example"), Err(End::Server(Error::UnknownAlpn))));
}

#[test]
fn sessions_are_resumed_within_a_pool_and_through_a_reload() {
    let authority = Authority::new();
    let site = server(json!({"certificates": [authority.p256("site", &["site.example"]).entry()]}));
    let plan: plan::Client = serde_json::from_value(json!({"ca": authority.ca})).unwrap();
    let first = ClientTls::compile(&plan, Protocol::Http11, None, NOW_UNIX).unwrap();
    assert!(!connect(&first, &site, "site.example").unwrap().client.session.is_resumed());
    let reloaded = ClientTls::compile(&plan, Protocol::Http11, Some(&first), NOW_UNIX).unwrap();
    assert!(connect(&reloaded, &site, "site.example").unwrap().client.session.is_resumed());
    let apart = ClientTls::compile(&plan, Protocol::Http11, None, NOW_UNIX).unwrap();
    assert!(!connect(&apart, &site, "site.example").unwrap().client.session.is_resumed());
}

#[test]
fn whatever_differs_is_another_identity() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (alice, bob) = (authority.p256("alice", &["alice.example"]), authority.p256("bob", &["bob.example"]));
    let base = json!({"ca": authority.ca});
    let plans = [
        base.clone(),
        json!({"ca": other.ca}),
        json!({"ca": authority.ca, "verify": false}),
        json!({"ca": authority.ca, "server_name": "site.example"}),
        json!({"ca": authority.ca, "min_version": "1.3"}),
        json!({"ca": authority.ca, "certificate": alice.certificate, "key": alice.key}),
        json!({"ca": authority.ca, "certificate": bob.certificate, "key": bob.key}),
    ];
    let mut identities: HashSet<u64> =
        plans.iter().map(|plan| client_with(plan.clone(), Protocol::Http11).identity()).collect();
    identities.insert(client_with(base.clone(), Protocol::Http2).identity());
    assert_eq!(identities.len(), plans.len() + 1);
    assert!(identities.contains(&client_with(base, Protocol::Http11).identity()), "the same again");
}

fn problems(plan: Value) -> Vec<Problem> {
    let plan: plan::Client = serde_json::from_value(plan).unwrap();
    ClientTls::compile(&plan, Protocol::Http11, None, NOW_UNIX).unwrap_err()
}

#[test]
fn what_is_wrong_with_a_plan_is_named() {
    let authority = Authority::new();
    let folder = Folder::new();
    let (alice, bob) = (authority.p256("alice", &["a.example"]), authority.p256("bob", &["b.example"]));
    let empty = folder.write("empty.pem", "");
    for (plan, wanted) in [
        (json!({"ca": empty}), "ca: {}/empty.pem: holds no certificate in PEM"),
        (json!({"ca": "/nowhere"}), "ca: /nowhere: no such file"),
        (
            json!({"server_name": "a b", "verify": false}),
            "server_name: \"a b\" is neither a host name nor an address",
        ),
        (
            json!({"certificate": alice.certificate, "verify": false}),
            "certificate: has no key; give both or none",
        ),
        (
            json!({"certificate": "/nowhere", "key": "/nowhere", "verify": false}),
            "certificate: /nowhere: no such file",
        ),
        (json!({"key": alice.key, "verify": false}), "key: has no certificate; give both or none"),
    ] {
        let found = problems(plan);
        let wanted = wanted.replace("{}", folder.path().to_str().unwrap());
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [wanted]);
    }
    let mixed = problems(json!({"verify": false, "certificate": alice.certificate, "key": bob.key}));
    assert_eq!(mixed[0].path, "key");
    assert!(mixed[0].message.contains("is not the key of"), "{mixed:?}");
}
