//! Sessions taken up again by their tickets: across workers, machines and reloads, and never across who may come in.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kit;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kit::{Authority, NOW_UNIX, compile, foreign_client, meet, server};
use rustls::client::Resumption;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use serde_json::{Value, json};
use trunkline_tls::{Challenges, ServerTls, plan};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
const LIFETIME_S: u64 = 3_600;

#[derive(Debug, Default)]
struct Clock(AtomicU64);

impl Clock {
    fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}

fn clocked(plan: Value, clock: &Arc<Clock>) -> ServerTls {
    let plan: plan::Server = serde_json::from_value(plan).unwrap();
    ServerTls::compile_with_clock(&plan, &Arc::new(Challenges::default()), None, NOW_UNIX, clock.clone())
        .unwrap()
}

/// A client that has a ticket of this server.
fn acquainted(
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
    server: &ServerTls,
) -> Arc<ClientConfig> {
    let mut config = foreign_client(authority, &[version], &[]);
    config.resumption = Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    assert_eq!(is_resumed(&config, server), Ok(false));
    config
}

fn is_resumed(config: &Arc<ClientConfig>, server: &ServerTls) -> Result<bool, kit::End> {
    let (pair, result) = meet(config, server, "site.example");
    result.map(|()| pair.server.session.is_resumed())
}

fn site(authority: &Authority) -> Value {
    json!({"certificates": [authority.p256("site", &["site.example"]).entry()]})
}

fn with(plan: &Value, key: &str, value: Value) -> Value {
    let mut plan = plan.clone();
    plan[key] = value;
    plan
}

#[test]
fn the_same_listener_resumes_with_no_memory_of_the_session() {
    let authority = Authority::new();
    let plan = site(&authority);
    for version in VERSIONS {
        let server = server(plan.clone());
        let config = acquainted(&authority, version, &server);
        for _ in 0..3 {
            assert_eq!(is_resumed(&config, &server), Ok(true), "{version:?}");
        }
    }
}

#[test]
fn a_reload_keeps_tickets_good_and_new_keys_do_not() {
    let authority = Authority::new();
    let plan = site(&authority);
    for version in VERSIONS {
        let first = server(plan.clone());
        let config = acquainted(&authority, version, &first);
        let reloaded = compile(with(&plan, "strict_sni", json!(true)), Some(&first)).unwrap();
        assert_eq!(is_resumed(&config, &reloaded), Ok(true));
        let other_lifetime =
            compile(with(&plan, "tickets", json!({"lifetime_s": 60})), Some(&reloaded)).unwrap();
        assert_eq!(is_resumed(&config, &other_lifetime), Ok(false));
        assert_eq!(is_resumed(&acquainted(&authority, version, &first), &server(plan.clone())), Ok(false));
    }
}

#[test]
fn machines_share_keys_by_a_file() {
    let authority = Authority::new();
    let plan = site(&authority);
    let hex = "00112233445566778899aabbccddeeff".repeat(2);
    let base64 = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4mrze8BI0VniavN7wEjRWeJ";
    let longest = "0123456789abcdef".repeat(10);
    let keys = |name: &str, lines: &[&str]| {
        let file = authority.folder.write(name, lines.join("\n") + "\n");
        server(with(&plan, "tickets", json!({"keys_file": file})))
    };
    let old = keys("old", &[&hex]);
    let added = keys("added", &[&hex, "", base64]);
    let turned = keys("turned", &[base64, &hex]);
    let removed = keys("removed", &[base64, &longest]);
    for version in VERSIONS {
        for (issues, accepts, wanted) in [
            (&old, &added, true),
            (&added, &old, true),
            (&old, &turned, true),
            (&turned, &added, true),
            (&turned, &old, false),
            (&old, &removed, false),
            (&turned, &removed, true),
        ] {
            assert_eq!(is_resumed(&acquainted(&authority, version, issues), accepts), Ok(wanted));
        }
    }
}

#[test]
fn drawn_keys_are_exchanged_and_the_one_before_is_accepted() {
    let authority = Authority::new();
    let clock = Arc::new(Clock(AtomicU64::new(NOW_UNIX)));
    let server = clocked(with(&site(&authority), "tickets", json!({"lifetime_s": LIFETIME_S})), &clock);
    let early = acquainted(&authority, &TLS12, &server);
    clock.advance(LIFETIME_S - 1);
    let late = acquainted(&authority, &TLS12, &server);
    let later = acquainted(&authority, &TLS12, &server);
    assert_eq!(is_resumed(&early, &server), Ok(true), "a second before its end");
    clock.advance(1);
    // A new key issues from here on; what the old one sealed a second ago is good for an hour.
    let newest = acquainted(&authority, &TLS12, &server);
    assert_eq!(is_resumed(&late, &server), Ok(true));
    assert_eq!(is_resumed(&newest, &server), Ok(true));
    clock.advance(LIFETIME_S - 1);
    assert_eq!(is_resumed(&later, &server), Ok(false), "an hour old");
    clock.advance(10 * LIFETIME_S);
    assert_eq!(is_resumed(&newest, &server), Ok(false), "after a quiet night");
}

#[test]
fn keys_from_a_file_outlive_the_tickets_that_they_sealed() {
    let authority = Authority::new();
    let clock = Arc::new(Clock(AtomicU64::new(NOW_UNIX)));
    let file = authority.folder.write("keys", "ab".repeat(48));
    let tickets = json!({"lifetime_s": LIFETIME_S, "keys_file": file});
    let server = clocked(with(&site(&authority), "tickets", tickets), &clock);
    let (first, second) = (acquainted(&authority, &TLS13, &server), acquainted(&authority, &TLS13, &server));
    clock.advance(LIFETIME_S - 1);
    assert_eq!(is_resumed(&first, &server), Ok(true));
    clock.advance(1);
    assert_eq!(is_resumed(&second, &server), Ok(false));
}

#[test]
fn without_a_lifetime_no_tickets_are_issued() {
    let authority = Authority::new();
    let server = server(with(&site(&authority), "tickets", json!({"lifetime_s": 0})));
    for version in VERSIONS {
        assert_eq!(is_resumed(&acquainted(&authority, version, &server), &server), Ok(false));
    }
}

/// A ticket holds the session of a client that nobody asked for a certificate. Under the same keys it must not open a listener that does.
#[test]
fn a_ticket_does_not_pass_client_authentication() {
    let authority = Authority::new();
    let file = authority.folder.write("keys", "cd".repeat(32));
    let open = with(&site(&authority), "tickets", json!({"keys_file": file}));
    let closed = with(&open, "client_auth", json!({"ca": authority.ca}));
    for version in VERSIONS {
        let (server, guarded) = (server(open.clone()), server(closed.clone()));
        let config = acquainted(&authority, version, &server);
        let refused = is_resumed(&config, &guarded).unwrap_err();
        assert_eq!(refused, kit::End::Server(trunkline_tls::Error::ClientCertificateRequired));
        // The same through a reload, with drawn keys.
        let drawn = with(&open, "tickets", json!({}));
        let before = kit::server(drawn.clone());
        let config = acquainted(&authority, version, &before);
        let after = compile(with(&drawn, "client_auth", json!({"ca": authority.ca})), Some(&before)).unwrap();
        assert_eq!(
            is_resumed(&config, &after),
            Err(kit::End::Server(trunkline_tls::Error::ClientCertificateRequired))
        );
    }
}
