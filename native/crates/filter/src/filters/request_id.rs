//! `X-Request-Id`: the client's if it is trusted and harmless, else one of ours; sent to the upstream and back to the client.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::exchange::Exchange;
use crate::{Request, Verdict};

const NAME: &str = "x-request-id";

/// Long enough for every id in use (UUIDs, trace ids, ULIDs), short enough to be harmless in every log line.
const MAX_TRUSTED_BYTES: usize = 128;

#[derive(Debug)]
pub(crate) struct RequestId {
    trust: bool,
    ids: RequestIds,
}

/// Makes request ids: 128 bits as 32 hexadecimal digits. Unique within the process because they are a bijection of a
/// counter, and between processes because of the seed; not meant to be unguessable. 10 ns, no lock, no shared counter.
#[derive(Debug, Clone, Copy)]
pub struct RequestIds {
    seed: [u64; 2],
}

/// How many ids a thread makes before it draws another block.
const BLOCK: u64 = 1 << 20;

static NEXT_BLOCK: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The next number of this thread's block; a multiple of `BLOCK` means that the block is used up, as at the start.
    static COUNTER: Cell<u64> = const { Cell::new(0) };
}

impl RequestIds {
    /// `seed`: 128 random bits, drawn once per process.
    pub const fn new(seed: [u64; 2]) -> Self {
        Self { seed }
    }

    /// A new id, different from every other of this process.
    pub fn make(&self) -> [u8; 32] {
        let number = next_number();
        let mut id = [0; 32];
        let (high, low) = id.split_at_mut(16);
        write_hex(high, mix(number ^ self.seed[0]));
        write_hex(low, mix(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ self.seed[1]));
        id
    }

    /// Whether a client's id may be passed on: 1 to 128 characters that mean nothing to a log, a shell or a header.
    pub fn is_safe(id: &[u8]) -> bool {
        let is_safe = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
        (1..=MAX_TRUSTED_BYTES).contains(&id.len()) && id.iter().all(is_safe)
    }
}

impl RequestId {
    pub(crate) fn new(trust: bool, seed: [u64; 2]) -> Self {
        Self { trust, ids: RequestIds::new(seed) }
    }

    pub(crate) fn request(&self, request: &Request<'_>, exchange: &mut Exchange) -> Verdict {
        let given = if self.trust { request.header(NAME) } else { None };
        match given.filter(|id| RequestIds::is_safe(id)) {
            Some(id) => exchange.set_request_id(id),
            None => exchange.set_request_id(&self.ids.make()),
        }
        let Exchange { request_id, upstream, response, .. } = exchange;
        upstream.set(NAME, request_id);
        response.set(NAME, request_id);
        Verdict::Continue
    }
}

fn next_number() -> u64 {
    COUNTER.with(|counter| {
        let number = counter.get();
        let number = if number % BLOCK == 0 { NEXT_BLOCK.fetch_add(1, Relaxed) * BLOCK + 1 } else { number };
        counter.set(number + 1);
        number
    })
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014): a bijection that spreads every bit.
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

fn write_hex(out: &mut [u8], bits: u64) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(bits.to_be_bytes()) {
        *pair = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_between_threads_and_seeds() {
        let ids = RequestIds::new([1, 2]);
        let other = RequestIds::new([3, 4]);
        let make = move || (0..10_000).map(|_| ids.make()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(make)).collect();
        let mut seen: HashSet<[u8; 32]> =
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        seen.extend((0..10_000).map(|_| other.make()));
        assert_eq!(seen.len(), 50_000);
        assert!(seen.iter().flatten().all(u8::is_ascii_hexdigit));
    }

    #[test]
    fn only_harmless_ids_are_trusted() {
        let long = "a".repeat(129);
        let cases = [
            ("0af7651916cd43dd8448eb211c80319c", true),
            ("a-b_c.d:e/f+g=@", true),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            ("\u{e9}", false),
            (&long[..128], true),
            (&long, false),
        ];
        for (id, safe) in cases {
            assert_eq!(RequestIds::is_safe(id.as_bytes()), safe, "{id}");
        }
    }
}
