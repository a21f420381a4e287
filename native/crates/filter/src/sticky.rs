//! Sticky sessions: a cookie that remembers which server a client was sent to.
//!
//! The value is `base64url(server ‖ expiry ‖ tag)`: 8 bytes that stand for the server, 8 of seconds since 1970 (0 = never), and the
//! HMAC-SHA256 (RFC 2104) of both and the pool's name. What stands for a server is an HMAC of its name, so that a client learns
//! neither names nor addresses, and a cookie of one pool means nothing in another. Several keys may be given: the first one
//! signs, all are believed, so that keys can be changed without forgetting anybody.
//!
//! Whether the server may still be used is for the balancer to say; a cookie that is wrong in any way is as good as none.

use std::collections::HashMap;

use ahash::RandomState;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::header_edits::is_token;
use crate::plan;

const ID_BYTES: usize = 8;
const EXPIRY_BYTES: usize = 8;
const TAG_BYTES: usize = 32;
const VALUE_BYTES: usize = ID_BYTES + EXPIRY_BYTES + TAG_BYTES;
/// 48 bytes in base64: no padding.
const TEXT_BYTES: usize = VALUE_BYTES / 3 * 4;
/// As for HS256 (RFC 7518 §3.2): a shorter key is the weakest part of the tag.
const LEAST_KEY_BYTES: usize = 32;

/// A pool's sticky sessions, compiled for its servers; immutable.
#[derive(Debug)]
pub struct Sticky {
    name: String,
    pool: String,
    /// The first one signs.
    keys: Box<[Key]>,
    /// 0 = until the browser closes.
    max_age_s: u64,
    /// `; Path=/; HttpOnly` and so on, but for `Secure`.
    attributes: String,
    secure: Option<bool>,
}

#[derive(Debug)]
struct Key {
    hmac: hmac::Key,
    /// By index in the list of servers.
    ids: Box<[[u8; ID_BYTES]]>,
    servers: HashMap<[u8; ID_BYTES], usize, RandomState>,
}

/// What a cookie says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// Index in the list that [`Sticky::compile`] got.
    pub server: usize,
    /// More than half of its time is over, or an old key signed it: worth a new one.
    pub renew: bool,
}

impl Sticky {
    /// `servers`: the names of the pool's servers.
    ///
    /// # Errors
    /// Everything that is wrong, as `key: problem`.
    pub fn compile(plan: &plan::Sticky, pool: &str, servers: &[&str]) -> Result<Self, Vec<String>> {
        let errors = mistakes(plan);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            name: plan.name.clone(),
            pool: pool.to_owned(),
            keys: plan.keys.iter().map(|key| Key::new(key, pool, servers)).collect(),
            max_age_s: plan.max_age_s,
            attributes: attributes(plan),
            secure: plan.secure,
        })
    }

    /// The server that the cookie of a request remembers. `cookies`: the value of its Cookie line.
    pub fn server_of(&self, cookies: &[u8], now_unix_s: u64) -> Option<Remembered> {
        let pairs = cookies.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let mut values = pairs.filter_map(|pair| pair.strip_prefix(self.name.as_bytes())?.strip_prefix(b"="));
        values.find_map(|value| self.read(value, now_unix_s))
    }

    /// Appends the value of a `Set-Cookie` line that remembers the server of that index. `secure`: the request came by TLS.
    /// An index that is none appends nothing.
    pub fn cookie_for(&self, server: usize, now_unix_s: u64, secure: bool, out: &mut Vec<u8>) {
        let signing = self.keys.first().and_then(|key| Some((key, key.ids.get(server)?)));
        let Some((key, id)) = signing else { return };
        let expiry_s = if self.max_age_s == 0 { 0 } else { now_unix_s.saturating_add(self.max_age_s) };
        let mut value = [0; VALUE_BYTES];
        let (said, tag) = value.split_at_mut(ID_BYTES + EXPIRY_BYTES);
        let (id_place, expiry_place) = said.split_at_mut(ID_BYTES);
        id_place.copy_from_slice(id);
        expiry_place.copy_from_slice(&expiry_s.to_be_bytes());
        tag.copy_from_slice(self.tag(key, said).as_ref());
        let mut text = [0; TEXT_BYTES];
        // The text has exactly the room that 48 bytes take, so this cannot fail; a failure would only set an empty cookie.
        let length = URL_SAFE_NO_PAD.encode_slice(value, &mut text).unwrap_or(0);
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(text.get(..length).unwrap_or_default());
        out.extend_from_slice(self.attributes.as_bytes());
        if self.secure.unwrap_or(secure) {
            out.extend_from_slice(b"; Secure");
        }
    }

    fn read(&self, text: &[u8], now_unix_s: u64) -> Option<Remembered> {
        let mut value = [0; VALUE_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut value).ok()?;
        let value = value.get(..length).filter(|value| value.len() == VALUE_BYTES)?;
        let (said, tag) = value.split_at(ID_BYTES + EXPIRY_BYTES);
        let (id, expiry) = said.split_first_chunk::<ID_BYTES>()?;
        let expiry_s = u64::from_be_bytes(expiry.try_into().ok()?);
        let (position, key) = self.keys.iter().enumerate().find(|(_, key)| self.verifies(key, said, tag))?;
        let is_valid = expiry_s == 0 || now_unix_s < expiry_s;
        let server = key.servers.get(id).copied().filter(|_| is_valid)?;
        let is_old = expiry_s > 0 && expiry_s.saturating_sub(now_unix_s) < self.max_age_s / 2;
        Some(Remembered { server, renew: is_old || position > 0 })
    }

    fn tag(&self, key: &Key, said: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&key.hmac);
        context.update(said);
        context.update(self.pool.as_bytes());
        context.sign()
    }

    /// In the same time wherever the tags differ.
    fn verifies(&self, key: &Key, said: &[u8], tag: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.tag(key, said).as_ref(), tag).is_ok()
    }
}

impl Key {
    fn new(secret: &str, pool: &str, servers: &[&str]) -> Self {
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let ids: Box<[_]> = servers.iter().map(|server| id(&hmac, pool, server)).collect();
        let servers = ids.iter().copied().zip(0..).collect();
        Self { hmac, ids, servers }
    }
}

/// What stands for a server. The byte in front keeps this use of the key apart from the tags'.
fn id(key: &hmac::Key, pool: &str, server: &str) -> [u8; ID_BYTES] {
    let mut context = hmac::Context::with_key(key);
    for part in [b"\x01", pool.as_bytes(), b"\x00", server.as_bytes()] {
        context.update(part);
    }
    let tag = context.sign();
    let mut id = [0; ID_BYTES];
    id.iter_mut().zip(tag.as_ref()).for_each(|(place, byte)| *place = *byte);
    id
}

fn attributes(plan: &plan::Sticky) -> String {
    let mut text = format!("; Path={}", plan.path);
    if let Some(domain) = &plan.domain {
        text.extend(["; Domain=", domain]);
    }
    if plan.max_age_s > 0 {
        text.extend(["; Max-Age=", itoa::Buffer::new().format(plan.max_age_s)]);
    }
    if plan.http_only {
        text.push_str("; HttpOnly");
    }
    text.push_str(match plan.same_site {
        plan::SameSite::Strict => "; SameSite=Strict",
        plan::SameSite::Lax => "; SameSite=Lax",
        plan::SameSite::None => "; SameSite=None",
    });
    text
}

fn mistakes(plan: &plan::Sticky) -> Vec<String> {
    // RFC 6265 §4.1.1: a name is a token, an attribute's value has no controls and no semicolon.
    let is_value = |text: &str| text.bytes().all(|byte| !byte.is_ascii_control() && byte != b';');
    let mut errors = Vec::new();
    let mut check = |holds: bool, text: &str| {
        if !holds {
            errors.push(text.to_owned());
        }
    };
    check(is_token(&plan.name), "name: must be letters, digits and -_ (a token)");
    check(!plan.keys.is_empty(), "keys: must hold one at least");
    for (index, key) in plan.keys.iter().enumerate() {
        check(
            key.len() >= LEAST_KEY_BYTES,
            &format!("keys[{index}]: needs {LEAST_KEY_BYTES} bytes at least"),
        );
    }
    check(plan.path.starts_with('/') && is_value(&plan.path), "path: must begin with a slash and hold no ;");
    check(plan.domain.as_deref().is_none_or(is_value), "domain: must hold no ;");
    let is_sent = plan.same_site != plan::SameSite::None || plan.secure != Some(false);
    check(is_sent, "same_site: browsers refuse None without Secure");
    errors
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
        assert_eq!(
            rotated.server_of(renewed.as_bytes(), NOW_S),
            Some(Remembered { server: 1, renew: false })
        );
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
        assert_eq!(bytes.len(), VALUE_BYTES);
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
}
