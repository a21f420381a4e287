//! Sticky cookies: what a browser gets, and what is believed of what comes back.
#![allow(clippy::unwrap_used)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use trunkline_filter::{Remembered, Sticky, plan};

const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";
const NOW_S: u64 = 1_800_000_000;

fn plan(json: &str) -> plan::Sticky {
    serde_json::from_str(json).unwrap()
}

fn sticky(keys: &[&str], pool: &str, servers: &[&str]) -> Sticky {
    let plan = plan(&format!(r#"{{"keys": {}, "max_age_s": 3600}}"#, serde_json::json!(keys)));
    Sticky::compile(&plan, pool, servers).unwrap()
}

fn cookie(sticky: &Sticky, server: usize) -> String {
    let mut out = Vec::new();
    sticky.cookie_for(server, NOW_S, false, &mut out);
    String::from_utf8(out).unwrap()
}

/// What a browser sends back.
fn pair(cookie: &str) -> String {
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn a_server_is_remembered_until_its_time_is_over() {
    let sticky = sticky(&[KEY], "lb.app", &["10.0.0.1:80", "10.0.0.2:80", "c"]);
    let sent = format!("a=1; {}; b=2", pair(&cookie(&sticky, 1)));
    let at = |now_s| sticky.server_of(sent.as_bytes(), now_s);
    assert_eq!(at(NOW_S), Some(Remembered { server: 1, renew: false }));
    assert_eq!(at(NOW_S + 1_801), Some(Remembered { server: 1, renew: true }));
    assert_eq!(at(NOW_S + 3_599), Some(Remembered { server: 1, renew: true }));
    assert_eq!(at(NOW_S + 3_600), None);
    assert!(cookie(&sticky, 3).is_empty());
}

#[test]
fn the_place_in_the_list_may_change_and_a_server_may_go() {
    let sent = pair(&cookie(&sticky(&[KEY], "p", &["a", "b", "c"]), 2));
    let moved = sticky(&[KEY], "p", &["c", "d"]);
    assert_eq!(moved.server_of(sent.as_bytes(), NOW_S).unwrap().server, 0);
    assert_eq!(sticky(&[KEY], "p", &["a", "b"]).server_of(sent.as_bytes(), NOW_S), None);
}

#[test]
fn keys_can_be_changed_without_forgetting_anybody() {
    let sent = pair(&cookie(&sticky(&[KEY], "p", &["a", "b"]), 1));
    let rotated = sticky(&[OTHER_KEY, KEY], "p", &["a", "b"]);
    assert_eq!(rotated.server_of(sent.as_bytes(), NOW_S), Some(Remembered { server: 1, renew: true }));
    let renewed = pair(&cookie(&rotated, 1));
    assert_eq!(rotated.server_of(renewed.as_bytes(), NOW_S), Some(Remembered { server: 1, renew: false }));
    assert_eq!(sticky(&[OTHER_KEY], "p", &["a", "b"]).server_of(sent.as_bytes(), NOW_S), None);
}

#[test]
fn what_was_not_signed_here_means_nothing() {
    let sticky_a = sticky(&[KEY], "a", &["s"]);
    let sent = pair(&cookie(&sticky_a, 0));
    assert_eq!(sticky(&[KEY], "b", &["s"]).server_of(sent.as_bytes(), NOW_S), None, "another pool's");
    let (name, value) = sent.split_once('=').unwrap();
    for at in 0..value.len() {
        let mut forged = value.as_bytes().to_vec();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        let line = [name.as_bytes(), b"=", &forged].concat();
        assert_eq!(sticky_a.server_of(&line, NOW_S), None, "changed at {at}");
    }
    for wrong in ["", "A", "=", "%%%", &value[1..], &format!("{value}A"), &format!("\"{value}\"")] {
        assert_eq!(sticky_a.server_of(format!("{name}={wrong}").as_bytes(), NOW_S), None, "{wrong}");
    }
    let second = format!("{name}=forged; {sent}");
    assert!(sticky_a.server_of(second.as_bytes(), NOW_S).is_some(), "a forged one hides no true one");
}

#[test]
fn nothing_of_the_server_can_be_read() {
    let sticky = sticky(&[KEY], "lb.app", &["10.0.0.1:80"]);
    let (_, value) =
        pair(&cookie(&sticky, 0)).split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(value).unwrap();
    assert!(!bytes.windows(4).any(|window| window == b"10.0"));
    assert_eq!(bytes.len(), 8 + 8 + 32);
    assert!(!format!("{sticky:?}").contains(KEY));
}

#[test]
fn attributes_are_the_plans() {
    let with = |json: &str| {
        let json = format!(r#"{{"keys": ["{KEY}"]{json}}}"#);
        let sticky = Sticky::compile(&plan(&json), "p", &["s"]).unwrap();
        let mut out = Vec::new();
        sticky.cookie_for(0, NOW_S, true, &mut out);
        let text = String::from_utf8(out).unwrap();
        let (pair, attributes) = text.split_once("; ").unwrap();
        (pair.split_once('=').unwrap().0.to_owned(), attributes.to_owned())
    };
    let case = |json: &str, name: &str, attributes: &str| {
        assert_eq!(with(json), (name.to_owned(), attributes.to_owned()), "{json}");
    };
    case("", "trunkline", "Path=/; HttpOnly; SameSite=Lax; Secure");
    case(r#", "secure": false, "http_only": false"#, "trunkline", "Path=/; SameSite=Lax");
    case(
        r#", "name": "app", "path": "/a", "domain": "e.com", "max_age_s": 60, "same_site": "none""#,
        "app",
        "Path=/a; Domain=e.com; Max-Age=60; HttpOnly; SameSite=None; Secure",
    );
}

#[test]
fn a_session_cookie_never_expires_here() {
    let plan = plan(&format!(r#"{{"keys": ["{KEY}"]}}"#));
    let sticky = Sticky::compile(&plan, "p", &["s"]).unwrap();
    let sent = pair(&cookie(&sticky, 0));
    let found = sticky.server_of(sent.as_bytes(), NOW_S * 2);
    assert_eq!(found, Some(Remembered { server: 0, renew: false }));
}

#[test]
fn every_mistake_is_told() {
    let plan = plan(
        r#"{"name": "a b", "keys": ["short"], "path": "a", "domain": "a;b", "same_site": "none", "secure": false}"#,
    );
    let errors = Sticky::compile(&plan, "p", &["s"]).unwrap_err();
    let keys: Vec<&str> = errors.iter().filter_map(|error| error.split(':').next()).collect();
    assert_eq!(keys, ["name", "keys[0]", "path", "domain", "same_site"]);
}
