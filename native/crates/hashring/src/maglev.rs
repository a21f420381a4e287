//! Maglev: a table with a prime number of slots that the nodes fill in turns; a lookup is one load.
//!
//! Source: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016), §3.4. Beyond it:
//! weights, as quotas of slots by largest remainder, so that every node is within one slot of its proportional share
//! (letting the heaviest run ahead, the usual way, misses by tens of slots when weights differ much).
//! Nodes take turns in the order of their names, so the table does not depend on the order they were given in.
//! A node out of service is replaced by the owner of the next slot, another one for each of its slots.

use crate::hash::xxh64;
use crate::node::total_weight;
use crate::{Error, Node};

/// The smaller of the paper's two sizes (§5.3): 256 KB, and shares within 1 % for a hundred nodes.
pub const DEFAULT_TABLE_SIZE: u32 = 65_537;

/// 64 MB; the paper stops at 655 373.
const MAX_TABLE_SIZE: u32 = 1 << 24;

const EMPTY: u32 = u32::MAX;

#[derive(Debug, Clone)]
pub(crate) struct Maglev {
    table: Vec<u32>,
}

impl Maglev {
    pub(crate) fn new(nodes: &[Node], size: u32) -> Result<Self, Error> {
        let mut order: Vec<usize> = (0..nodes.len()).filter(|&node| nodes[node].weight > 0).collect();
        if !is_prime(size) || order.len() > size as usize || size > MAX_TABLE_SIZE {
            return Err(Error::TableSize { size, nodes: order.len(), limit: MAX_TABLE_SIZE });
        }
        order.sort_by_key(|&node| &nodes[node].name);
        let in_order: Vec<Node> = order.iter().map(|&node| nodes[node].clone()).collect();
        let permutations: Vec<_> = in_order.iter().map(|node| permutation(&node.name, size)).collect();
        let turns = populate(&permutations, &quotas(&in_order, size), size);
        Ok(Self { table: turns.into_iter().map(|turn| order[turn as usize] as u32).collect() })
    }

    pub(crate) fn find(&self, key: &[u8], mut accept: impl FnMut(usize) -> bool) -> Option<usize> {
        if self.table.is_empty() {
            return None;
        }
        let start = (xxh64(key, 0) % self.table.len() as u64) as usize;
        let (before, after) = self.table.split_at(start);
        after.iter().chain(before).map(|&owner| owner as usize).find(|&owner| accept(owner))
    }
}

/// Fills a table of `size` slots (prime) from each node's `(offset, skip)` and number of slots; answers the owner of
/// each slot. The quotas must add up to `size`; no node at all gives an empty table.
///
/// In a round each node takes the next free slot of its own permutation. A node with fewer slots than the
/// largest one sits out rounds at even distances, and with equal quotas this is the paper's algorithm to the slot.
pub fn populate(permutations: &[(u32, u32)], quotas: &[u32], size: u32) -> Vec<u32> {
    let rounds = u64::from(quotas.iter().copied().max().unwrap_or(0));
    if rounds == 0 {
        return Vec::new();
    }
    let mut table = vec![EMPTY; size as usize];
    let mut cursors: Vec<u64> = permutations.iter().map(|&(offset, _)| u64::from(offset)).collect();
    for round in 0..rounds {
        for (node, &(_, skip)) in permutations.iter().enumerate() {
            let due = |round: u64| (round * u64::from(quotas[node])).div_ceil(rounds);
            if due(round + 1) > due(round) {
                take_slot(&mut table, &mut cursors[node], skip, node as u32);
            }
        }
    }
    table
}

fn take_slot(table: &mut [u32], cursor: &mut u64, skip: u32, node: u32) {
    let size = table.len() as u64;
    while table[*cursor as usize] != EMPTY {
        *cursor = (*cursor + u64::from(skip)) % size;
    }
    table[*cursor as usize] = node;
}

/// Where a node begins and how it steps; any step visits every slot because the size is prime.
fn permutation(name: &str, size: u32) -> (u32, u32) {
    let offset = xxh64(name.as_bytes(), 0) % u64::from(size);
    let skip = xxh64(name.as_bytes(), 1) % u64::from(size - 1) + 1;
    (offset as u32, skip as u32)
}

/// Slots per node: the whole part of the proportional share, and one more for the largest remainders (first on ties).
fn quotas(nodes: &[Node], size: u32) -> Vec<u32> {
    let total = total_weight(nodes).max(1);
    let share = |node: &Node| u64::from(node.weight) * u64::from(size);
    let mut quotas: Vec<u32> = nodes.iter().map(|node| (share(node) / total) as u32).collect();
    let missing = size - quotas.iter().sum::<u32>();
    let mut by_remainder: Vec<usize> = (0..nodes.len()).collect();
    by_remainder.sort_by_key(|&node| std::cmp::Reverse(share(&nodes[node]) % total));
    by_remainder.iter().take(missing as usize).for_each(|&node| quotas[node] += 1);
    quotas
}

fn is_prime(number: u32) -> bool {
    number >= 2 && (2..=number.isqrt()).all(|divisor| !number.is_multiple_of(divisor))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_paper() {
        let table = populate(&[(3, 4), (0, 2), (3, 1)], &[3, 2, 2], 7);
        assert_eq!(table, [1, 0, 1, 0, 2, 2, 0]);
    }

    #[test]
    fn the_example_of_the_paper_without_its_middle_node() {
        assert_eq!(populate(&[(3, 4), (3, 1)], &[4, 3], 7), [0, 0, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn quotas_add_up_and_stay_within_one_slot() {
        let nodes: Vec<Node> = [100, 1, 1, 7, 0, 33].map(|weight| Node::new("any", weight)).into();
        let quotas = quotas(&nodes, 251);
        assert_eq!(quotas.iter().sum::<u32>(), 251);
        for (node, quota) in nodes.iter().zip(quotas) {
            let share = 251.0 * f64::from(node.weight) / 142.0;
            assert!((f64::from(quota) - share).abs() < 1.0, "{quota} against {share}");
        }
    }

    #[test]
    fn a_table_size_is_prime_and_holds_all_nodes() {
        let nodes: Vec<Node> = (0..6).map(|index| Node::new(format!("n{index}"), 1)).collect();
        assert!(Maglev::new(&nodes, 7).is_ok());
        for size in [0, 1, 5, 8, 65_536, 16_777_259] {
            assert!(matches!(Maglev::new(&nodes, size), Err(Error::TableSize { .. })), "{size}");
        }
    }
}
