//! Plain hashing: the hash modulo the sum of weights. Fair and tiny, but a change of the nodes moves almost every key.
//!
//! The right choice only when the nodes never change or nothing is lost by moving; a node that is merely out for a
//! while does not move the keys of the others (see `slots`).

use crate::Node;
use crate::hash::xxh64;
use crate::slots::Slots;

#[derive(Debug, Clone)]
pub(crate) struct Modulo {
    slots: Slots,
}

impl Modulo {
    pub(crate) fn new(nodes: &[Node]) -> Self {
        Self { slots: Slots::new(nodes) }
    }

    pub(crate) fn find(&self, key: &[u8], accept: impl FnMut(usize) -> bool) -> Option<usize> {
        self.slots.find(xxh64(key, 0), |hash, count| hash % count, accept)
    }
}
