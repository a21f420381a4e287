//! One quota for each of many keys, in bounded memory, shared between threads.
//!
//! The table is split into shards with a lock each, so that threads with different keys rarely meet. Memory is
//! 40 bytes x capacity, reserved at the start; what happens when it is full is said in `table.rs`.

use ahash::RandomState;
use parking_lot::Mutex;

use crate::table::{Fingerprint, Table, WAYS, scale};
use crate::{Decision, Quota, QuotaError};

/// Shards stand on cache lines of their own: a lock taken on one must not slow its neighbour's.
#[derive(Debug)]
#[repr(align(64))]
struct Shard(Mutex<Table>);

/// One quota for each of many keys. Never forgets a key that is limited (see `table.rs`, also for when it is full).
#[derive(Debug)]
pub struct KeyedLimiter {
    quota: Quota,
    hashers: [RandomState; 2],
    sets_per_shard: usize,
    shards: Box<[Shard]>,
}

impl KeyedLimiter {
    const MAX_SHARDS: usize = 4096;
    const MAX_CAPACITY: usize = 1 << 32;

    /// Room for at least `capacity` keys, rounded up to a multiple of 8 x shards; no shard has less than 8.
    /// 4 x the number of threads is plenty of shards: 2 threads then meet on one in 8 of the calls they make at the same instant.
    pub fn new(quota: Quota, capacity: usize, shards: usize) -> Result<Self, QuotaError> {
        if !(1..=Self::MAX_CAPACITY).contains(&capacity) {
            return Err(QuotaError::Capacity(capacity));
        }
        if !(1..=Self::MAX_SHARDS).contains(&shards) {
            return Err(QuotaError::Shards(shards));
        }
        let sets = capacity.div_ceil(WAYS);
        let shards = shards.min(sets);
        let sets_per_shard = sets.div_ceil(shards);
        Ok(Self {
            quota,
            hashers: [RandomState::new(), RandomState::new()],
            sets_per_shard,
            shards: (0..shards).map(|_| Shard(Mutex::new(Table::new(sets_per_shard)))).collect(),
        })
    }

    pub const fn quota(&self) -> &Quota {
        &self.quota
    }

    /// Takes `cost` units from the key's quota if they are there.
    #[inline]
    pub fn check(&self, key: &[u8], now_ns: u64, cost: u64) -> Decision {
        let (shard, fingerprint) = self.locate(key);
        shard.0.lock().check(&self.quota, &fingerprint, now_ns, cost)
    }

    /// The decision for a key without taking anything; an unknown key is answered for as a fresh one.
    pub fn peek(&self, key: &[u8], now_ns: u64, cost: u64) -> Decision {
        let (shard, fingerprint) = self.locate(key);
        shard.0.lock().peek(&self.quota, &fingerprint, now_ns, cost)
    }

    /// Forgets a key, limited or not; whether it was known.
    pub fn reset(&self, key: &[u8]) -> bool {
        let (shard, fingerprint) = self.locate(key);
        shard.0.lock().reset(&fingerprint)
    }

    /// Keys in the table, those included whose quota is whole again and whose place the next new key may take.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys there is room for.
    pub fn capacity(&self) -> usize {
        self.shards.len() * self.sets_per_shard * WAYS
    }

    /// Keys that were forgotten, for a new one's sake, with part of their quota still used. Growth means: raise the capacity.
    pub fn evicted(&self) -> u64 {
        self.shards.iter().map(|shard| shard.0.lock().evicted).sum()
    }

    /// Calls judged by a shard's overflow state, because every place their key could take held a limited key.
    pub fn overflowed(&self) -> u64 {
        self.shards.iter().map(|shard| shard.0.lock().overflowed).sum()
    }

    fn locate(&self, key: &[u8]) -> (&Shard, Fingerprint) {
        let [first, second] = self.hashers.each_ref().map(|hasher| hasher.hash_one(key));
        // The low halves choose the sets, so the shard is chosen by a high one.
        let shard = scale(first >> 32, self.shards.len());
        (&self.shards[shard], Fingerprint::new(first, second, self.sets_per_shard))
    }
}
