//! Stateless session tickets (RFC 5077, RFC 8446 §4.6.1): the session itself, sealed with a key that only servers have.
//!
//! ```text
//! name of the key (16) │ salt (32) │ sealed: issued at (8), session │ tag (16)
//! ```
//!
//! Each ticket is sealed by AES-256-GCM with a key of its own, HMAC-SHA-256(secret, salt), so that no nonce repeats however many tickets
//! a shared key issues. The name and the context (who may come in: client authentication) are authenticated with it: a ticket from a
//! listener that asked for no certificate does not open on one that does, whoever shares the keys.
//!
//! Keys are drawn and exchanged after each lifetime; the one before is accepted for another. Keys from a file stay until the file changes.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use base64::prelude::{BASE64_STANDARD, Engine};
use parking_lot::Mutex;
use rustls::server::ProducesTickets;
use rustls::time_provider::TimeProvider;

const NAME_BYTES: usize = 16;
const SALT_BYTES: usize = 32;
const TIME_BYTES: usize = 8;
const CONTEXT_BYTES: usize = 32;

/// RFC 8446 §4.6.1: "Servers MUST NOT use any value greater than 604800 seconds (7 days)."
pub(crate) const LONGEST_LIFETIME_S: u32 = 604_800;

/// Forms of key files in use: 48 and 80 bytes are those of nginx and `HAProxy`, 32 what `openssl rand -hex 32` makes.
const KEY_SIZES: [usize; 3] = [32, 48, 80];

/// The keys, the newest first; shared by the listener's workers and from reload to reload.
pub(crate) struct TicketKeys {
    keys: ArcSwap<Vec<TicketKey>>,
    lifetime_s: u32,
    rotates: bool,
    clock: Arc<dyn TimeProvider>,
    rotating: Mutex<()>,
}

#[derive(Clone)]
struct TicketKey {
    name: [u8; NAME_BYTES],
    secret: hmac::Key,
    born_unix: u64,
}

impl TicketKey {
    fn new(material: &[u8], born_unix: u64) -> Self {
        let derive = |label: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, material), label);
        let mut name = [0; NAME_BYTES];
        name.copy_from_slice(&derive(b"name").as_ref()[..NAME_BYTES]);
        Self { name, secret: hmac::Key::new(hmac::HMAC_SHA256, derive(b"seal").as_ref()), born_unix }
    }

    fn random(born_unix: u64) -> Option<Self> {
        let mut material = [0; 32];
        rand::fill(&mut material).ok()?;
        Some(Self::new(&material, born_unix))
    }

    /// The key of the one ticket with this salt.
    fn sealer(&self, salt: &[u8]) -> Option<LessSafeKey> {
        let key = hmac::sign(&self.secret, salt);
        UnboundKey::new(&AES_256_GCM, key.as_ref()).ok().map(LessSafeKey::new)
    }
}

impl TicketKeys {
    /// Keys that are drawn here. None if the system has no randomness or no time.
    pub(crate) fn random(lifetime_s: u32, clock: Arc<dyn TimeProvider>) -> Option<Self> {
        let first = TicketKey::random(clock.current_time()?.as_secs())?;
        Some(Self::with(vec![first], lifetime_s, true, clock))
    }

    /// Keys from the text of a key file.
    pub(crate) fn parse(text: &[u8], lifetime_s: u32, clock: Arc<dyn TimeProvider>) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|_| "is not a text file")?;
        let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
        let keys = lines.map(|(number, line)| parse_key(line, number + 1)).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err("holds no key".into());
        }
        Ok(Self::with(keys, lifetime_s, false, clock))
    }

    fn with(keys: Vec<TicketKey>, lifetime_s: u32, rotates: bool, clock: Arc<dyn TimeProvider>) -> Self {
        Self { keys: ArcSwap::from_pointee(keys), lifetime_s, rotates, clock, rotating: Mutex::new(()) }
    }

    fn now_unix(&self) -> Option<u64> {
        Some(self.clock.current_time()?.as_secs())
    }

    fn is_due(&self, now_unix: u64) -> bool {
        let lifetime_s = u64::from(self.lifetime_s);
        self.rotates && self.keys.load().first().is_none_or(|key| now_unix >= key.born_unix + lifetime_s)
    }

    /// Whoever comes first after the lifetime exchanges the keys; others go on with those that are there.
    fn rotate_if_due(&self, now_unix: u64) {
        if !self.is_due(now_unix) {
            return;
        }
        let Some(_guard) = self.rotating.try_lock() else { return };
        let Some(new) = self.is_due(now_unix).then(|| TicketKey::random(now_unix)).flatten() else { return };
        // The key before may have issued tickets until now; an older one has none left that are good.
        let previous = self.keys.load().first().cloned();
        self.keys.store(Arc::new(std::iter::once(new).chain(previous).collect()));
    }

    fn seal(&self, session: &[u8], context: &[u8; CONTEXT_BYTES]) -> Option<Vec<u8>> {
        let now_unix = self.now_unix()?;
        self.rotate_if_due(now_unix);
        let keys = self.keys.load();
        let key = keys.first()?;
        let mut salt = [0; SALT_BYTES];
        rand::fill(&mut salt).ok()?;
        let mut sealed = [&now_unix.to_be_bytes()[..], session].concat();
        let aad = Aad::from([&key.name[..], context].concat());
        key.sealer(&salt)?.seal_in_place_append_tag(only_nonce(), aad, &mut sealed).ok()?;
        Some([&key.name[..], &salt, &sealed].concat())
    }

    fn open(&self, ticket: &[u8], context: &[u8; CONTEXT_BYTES]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME_BYTES)?;
        let (salt, sealed) = rest.split_at_checked(SALT_BYTES)?;
        let keys = self.keys.load();
        let key = keys.iter().find(|key| key.name == name)?;
        let mut sealed = sealed.to_vec();
        let aad = Aad::from([name, context].concat());
        let opened = key.sealer(salt)?.open_in_place(only_nonce(), aad, &mut sealed).ok()?;
        let (issued, session) = opened.split_first_chunk::<TIME_BYTES>()?;
        let age_s = self.now_unix()?.checked_sub(u64::from_be_bytes(*issued))?;
        (age_s < u64::from(self.lifetime_s)).then(|| session.to_vec())
    }
}

/// A key seals one ticket only.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn parse_key(line: &str, number: usize) -> Result<TicketKey, String> {
    let bytes = decode_hex(line).or_else(|| BASE64_STANDARD.decode(line).ok());
    let bytes = bytes.ok_or_else(|| format!("line {number} is neither hex nor base64"))?;
    if !KEY_SIZES.contains(&bytes.len()) {
        return Err(format!("line {number} has {} bytes; a key has 32, 48 or 80", bytes.len()));
    }
    Ok(TicketKey::new(&bytes, 0))
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() % 2 == 1 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TicketKeys").field("lifetime_s", &self.lifetime_s).finish_non_exhaustive()
    }
}

/// The keys as one listener uses them.
#[derive(Debug)]
pub(crate) struct Ticketer {
    pub(crate) keys: Arc<TicketKeys>,
    pub(crate) context: [u8; CONTEXT_BYTES],
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.keys.lifetime_s
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys.seal(plain, &self.context)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.keys.open(ticket, &self.context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use rustls::time_provider::DefaultTimeProvider;

    use super::*;

    const CONTEXT: [u8; CONTEXT_BYTES] = [7; CONTEXT_BYTES];

    fn keys() -> TicketKeys {
        TicketKeys::random(60, Arc::new(DefaultTimeProvider)).unwrap()
    }

    #[test]
    fn a_ticket_opens_as_it_was_sealed_and_only_so() {
        let keys = keys();
        let ticket = keys.seal(b"session", &CONTEXT).unwrap();
        assert_eq!(keys.open(&ticket, &CONTEXT).unwrap(), b"session");
        assert_eq!(keys.open(&ticket, &[8; CONTEXT_BYTES]), None);
        for at in 0..ticket.len() {
            assert_eq!(keys.open(&ticket[..at], &CONTEXT), None);
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(keys.open(&changed, &CONTEXT), None, "byte {at}");
        }
    }

    #[test]
    fn no_two_tickets_are_the_same() {
        let keys = keys();
        assert_ne!(keys.seal(b"session", &CONTEXT), keys.seal(b"session", &CONTEXT));
    }

    #[test]
    fn keys_never_show() {
        assert_eq!(format!("{:?}", keys()), "TicketKeys { lifetime_s: 60, .. }");
    }
}
