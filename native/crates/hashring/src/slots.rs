//! Nodes laid end to end, each as wide as its weight: what `jump` and `modulo` choose from.
//!
//! Neither algorithm has a "next" node, so when a node is not accepted the key's hash is mixed anew and the
//! choice repeated. A key that was accepted at its first choice therefore never moves because another node is out.

use crate::Node;
use crate::hash::mix64;

/// 2^64 / golden ratio, the step of `SplitMix64`: successive attempts are far apart.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// After this many misses the nodes are tried one by one: with half of the weight out, one key in 2^32 gets there.
const ATTEMPTS: u64 = 32;

#[derive(Debug, Clone)]
pub(crate) struct Slots {
    /// Where each node ends; nodes of weight 0 end where they begin and so are never chosen.
    ends: Vec<u64>,
}

impl Slots {
    pub(crate) fn new(nodes: &[Node]) -> Self {
        let mut end = 0;
        let grow = |node: &Node| {
            end += u64::from(node.weight);
            end
        };
        Self { ends: nodes.iter().map(grow).collect() }
    }

    /// The node chosen by `choose(hash, slots)`, or by a repeated choice, that `accept` takes.
    pub(crate) fn find(
        &self,
        hash: u64,
        choose: impl Fn(u64, u64) -> u64,
        mut accept: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let count = self.ends.last().copied().filter(|&count| count > 0)?;
        let first = self.node_at(choose(hash, count));
        if accept(first) {
            return Some(first);
        }
        (1..ATTEMPTS)
            .map(|attempt| mix64(hash.wrapping_add(attempt.wrapping_mul(STEP))))
            .map(|again| self.node_at(choose(again, count)))
            .find(|&node| accept(node))
            .or_else(|| self.following(first).find(|&node| accept(node)))
    }

    fn node_at(&self, slot: u64) -> usize {
        self.ends.partition_point(|&end| end <= slot)
    }

    /// All nodes with weight, beginning after `first`, wrapping around.
    fn following(&self, first: usize) -> impl Iterator<Item = usize> {
        let has_weight =
            |node: &usize| self.ends[*node] > node.checked_sub(1).map_or(0, |left| self.ends[left]);
        (first + 1..self.ends.len()).chain(0..first).filter(has_weight)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn slots(weights: &[u32]) -> Slots {
        Slots::new(&weights.iter().map(|&weight| Node::new("any", weight)).collect::<Vec<_>>())
    }

    #[test]
    fn a_slot_belongs_to_the_node_that_covers_it() {
        let slots = slots(&[2, 0, 3]);
        assert_eq!((0..5).map(|slot| slots.node_at(slot)).collect::<Vec<_>>(), [0, 0, 2, 2, 2]);
    }

    #[test]
    fn the_only_acceptable_node_is_found_however_narrow() {
        let slots = slots(&[1_000_000, 0, 1, 1_000_000]);
        let found = slots.find(7, |hash, count| hash % count, |node| node == 2);
        assert_eq!(found, Some(2));
        assert_eq!(slots.find(7, |hash, count| hash % count, |node| node == 1), None);
    }

    #[test]
    fn nothing_to_choose_from_is_none() {
        assert_eq!(slots(&[]).find(1, |_, _| 0, |_| true), None);
        assert_eq!(slots(&[0, 0]).find(1, |_, _| 0, |_| true), None);
    }
}
