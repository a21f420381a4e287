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
