//! Rendezvous (highest random weight) hashing: every node bids for the key, the best bid wins.
//!
//! Sources: Thaler and Ravishankar (1998); weights by Schindelhauer and Schomaker, "Weighted Distributed Hash Tables"
//! (2005): with u uniform in (0, 1), the node with the least `-ln(u) / weight` wins, which gives exact shares. Minimal
//! movement in every case, also a change of weight; the price is one bid per node and lookup.

use crate::Node;
use crate::hash::{mix64, xxh64};

#[derive(Debug, Clone)]
pub(crate) struct Rendezvous {
    bidders: Vec<Bidder>,
    /// All weights are equal: then the order of the bids is the order of the hashes and the logarithm is saved.
    even: bool,
}

#[derive(Debug, Clone)]
struct Bidder {
    node: usize,
    hash: u64,
    weight: f64,
}

impl Rendezvous {
    pub(crate) fn new(nodes: &[Node]) -> Self {
        let weighted = nodes.iter().enumerate().filter(|(_, node)| node.weight > 0);
        let bidders = weighted
            .map(|(index, node)| Bidder {
                node: index,
                hash: xxh64(node.name.as_bytes(), 0),
                weight: f64::from(node.weight),
            })
            .collect::<Vec<_>>();
        let even = bidders.windows(2).all(|pair| pair[0].weight.total_cmp(&pair[1].weight).is_eq());
        Self { bidders, even }
    }

    pub(crate) fn find(&self, key: &[u8], mut accept: impl FnMut(usize) -> bool) -> Option<usize> {
        let key_hash = xxh64(key, 0);
        let accepted = self.bidders.iter().filter(|bidder| accept(bidder.node));
        let ticket = |bidder: &Bidder| mix64(key_hash ^ bidder.hash) >> 12;
        let winner = if self.even {
            // `Reverse` so that the first of equal bids wins, as below: `max_by_key` keeps the last.
            accepted.min_by_key(|bidder| std::cmp::Reverse(ticket(bidder)))
        } else {
            // A cost per bidder is computed once: the logarithm is the dear part.
            let costs = accepted.map(|bidder| (cost(ticket(bidder), bidder.weight), bidder));
            costs.min_by(|left, right| left.0.total_cmp(&right.0)).map(|(_, bidder)| bidder)
        };
        winner.map(|bidder| bidder.node)
    }
}

/// `-ln(u) / weight` with u from 52 random bits, in the middle of its step so that it is never 0 or 1.
fn cost(ticket: u64, weight: f64) -> f64 {
    const STEPS: f64 = (1_u64 << 52) as f64;
    -((ticket as f64 + 0.5) / STEPS).ln() / weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_and_weighted_paths_agree_on_equal_weights() {
        let nodes: Vec<Node> = (0..9).map(|index| Node::new(format!("node-{index}"), 3)).collect();
        let even = Rendezvous::new(&nodes);
        let weighted = Rendezvous { even: false, ..even.clone() };
        for key in 0..2_000_u32 {
            let key = key.to_le_bytes();
            assert_eq!(even.find(&key, |_| true), weighted.find(&key, |_| true));
        }
    }

    #[test]
    fn the_cost_is_finite_at_both_ends() {
        assert!(cost(0, 1.0).is_finite() && cost(0, 1.0) > 36.0);
        assert!(cost((1 << 52) - 1, 1.0) > 0.0);
    }
}
