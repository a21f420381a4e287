//! Jump consistent hash: perfect balance in no memory, for nodes that come and go at the end of the list.
//!
//! Source: Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm" (2014). A node of weight w owns w
//! neighbouring buckets. Positions decide, not names: appending moves 1/n of the keys, removing another node than
//! the last moves the last into the gap ([`Ring::remove`](crate::Ring::remove)), which moves 2/n.

use crate::Node;
use crate::hash::xxh64;
use crate::slots::Slots;

/// The bucket, below `buckets`, of a hashed key. `buckets` of 0 answers 0.
pub fn jump(mut hash: u64, buckets: u64) -> u64 {
    let (mut bucket, mut next) = (0, 0);
    while next < buckets {
        bucket = next;
        hash = hash.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        next = ((bucket + 1) as f64 * ((1_u64 << 31) as f64 / ((hash >> 33) + 1) as f64)) as u64;
    }
    bucket
}

#[derive(Debug, Clone)]
pub(crate) struct Jump {
    slots: Slots,
}

impl Jump {
    pub(crate) fn new(nodes: &[Node]) -> Self {
        Self { slots: Slots::new(nodes) }
    }

    pub(crate) fn find(&self, key: &[u8], accept: impl FnMut(usize) -> bool) -> Option<usize> {
        self.slots.find(xxh64(key, 0), jump, accept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table that the Go and Rust ports of the paper share.
    #[test]
    fn agrees_with_published_vectors() {
        let rows = [(1, 1, 0), (42, 57, 43), (0xDEAD_10CC, 1, 0), (0xDEAD_10CC, 666, 361), (256, 1024, 520)];
        for (hash, buckets, expected) in rows {
            assert_eq!(jump(hash, buckets), expected, "{hash} of {buckets}");
        }
    }

    #[test]
    fn a_new_bucket_only_takes_keys() {
        for hash in 0..2_000 {
            let (before, after) = (jump(hash, 10), jump(hash, 11));
            assert!(after == before || after == 10);
        }
    }
}
