//! Tokens whose signature was right, by their SHA-256. Measured for a token of 480 bytes: ES256 54 µs, RS256 19 µs, HS256 2 µs,
//! a cached one 0.37 µs, hashing included. Nobody can make another token of the same digest, and the tokens themselves are not kept.
//!
//! Bounded by two generations: new entries go into the young one; when that is full it becomes the old one and the old one
//! is dropped. What is used moves back to the young. It holds 8 192 to 16 384 tokens and never searches for a victim.

use std::collections::HashMap;
use std::mem;

use ahash::RandomState;
use parking_lot::Mutex;

use super::claims::Verified;
use crate::digest::Digest;

/// Locks: enough that worker threads rarely meet.
const SHARDS: usize = 16;
const PER_GENERATION: usize = 512;

type Generation = HashMap<Digest, Verified, RandomState>;

#[derive(Debug)]
pub(super) struct TokenCache {
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Debug, Default)]
struct Shard {
    young: Generation,
    old: Generation,
}

impl TokenCache {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// `read` of the entry if there is one. Whether the token has expired since is the caller's to say.
    pub(super) fn read<T>(&self, digest: &Digest, read: impl FnOnce(&Verified) -> T) -> Option<T> {
        let mut shard = self.shard(digest).lock();
        if let Some(verified) = shard.young.get(digest) {
            return Some(read(verified));
        }
        let verified = shard.old.remove(digest)?;
        let answer = read(&verified);
        shard.insert(*digest, verified);
        Some(answer)
    }

    pub(super) fn insert(&self, digest: Digest, verified: Verified) {
        self.shard(&digest).lock().insert(digest, verified);
    }

    fn shard(&self, digest: &Digest) -> &Mutex<Shard> {
        &self.shards[digest.prefix() as usize % SHARDS]
    }
}

impl Shard {
    fn insert(&mut self, digest: Digest, verified: Verified) {
        if self.young.len() >= PER_GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(digest, verified);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> Digest {
        Digest::of(&number.to_le_bytes())
    }

    fn insert(cache: &TokenCache, number: usize) {
        cache.insert(
            digest(number),
            Verified { consumer: number.to_string().into(), expires_s: number as u64 },
        );
    }

    #[test]
    fn stays_bounded_and_keeps_what_is_used() {
        let cache = TokenCache::new();
        insert(&cache, 0);
        for number in 1..100_000 {
            insert(&cache, number);
            assert_eq!(cache.read(&digest(0), |verified| verified.expires_s), Some(0));
        }
        let held = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            shard.young.len() + shard.old.len()
        };
        let held: usize = cache.shards.iter().map(held).sum();
        assert!((SHARDS * PER_GENERATION / 2..=2 * SHARDS * PER_GENERATION).contains(&held), "{held}");
        assert_eq!(cache.read(&digest(1), |_| ()), None);
    }
}
