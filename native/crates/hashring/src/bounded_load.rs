//! Consistent hashing with bounded loads: a node that is full passes its keys on to the next one.
//!
//! Source: Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2016), and the same idea in `HAProxy`'s
//! `hash-balance-factor`. A node may hold at most `factor` times its proportional share of the load, rounded up; the ring
//! decides, the ceiling only vetoes. Load is whatever the caller counts: requests in flight, sessions, items.

use crate::{Error, Node, Ring, RingKind};

/// The most a node of `weight` (of `total_weight`) may hold once `total_load` items are placed.
pub fn capacity(factor: f64, weight: u64, total_weight: u64, total_load: u64) -> u64 {
    (factor * total_load as f64 * weight as f64 / total_weight.max(1) as f64).ceil() as u64
}

/// A ring that counts what it has placed.
#[derive(Debug, Clone)]
pub struct BoundedLoadRing {
    ring: Ring,
    factor: f64,
    /// In the order of `ring.nodes()`.
    loads: Vec<u64>,
}

impl BoundedLoadRing {
    /// No node will hold more than `factor` times its share; 1.25 is the usual compromise between evenness and moves.
    ///
    /// # Errors
    /// [`Error::LoadFactor`] unless `factor` is finite and above 1; otherwise as [`Ring::new`].
    pub fn new(kind: RingKind, nodes: Vec<Node>, factor: f64) -> Result<Self, Error> {
        if !(factor.is_finite() && factor > 1.0) {
            return Err(Error::LoadFactor(factor));
        }
        let loads = vec![0; nodes.len()];
        Ok(Self { ring: Ring::new(kind, nodes)?, factor, loads })
    }

    /// The ring that decides before the ceiling does.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Items placed on each node, in the order of `ring().nodes()`.
    pub fn loads(&self) -> &[u64] {
        &self.loads
    }

    /// Appends an empty node. Errors as [`Ring::add`].
    pub fn add(&mut self, node: Node) -> Result<(), Error> {
        self.ring.add(node)?;
        self.loads.push(0);
        Ok(())
    }

    /// Removes a node and forgets its load. Answer and errors as [`Ring::remove`].
    pub fn remove(&mut self, name: &str) -> Result<usize, Error> {
        let index = self.ring.remove(name)?;
        self.loads.swap_remove(index);
        Ok(index)
    }

    /// Gives a node another weight; its load stays. Errors as [`Ring::set_weight`].
    pub fn set_weight(&mut self, name: &str, weight: u32) -> Result<(), Error> {
        self.ring.set_weight(name, weight)
    }

    /// Where `key` would be placed now.
    pub fn lookup(&self, key: &[u8]) -> Option<usize> {
        let total_load = self.loads.iter().sum::<u64>() + 1;
        let nodes = self.ring.nodes();
        let total_weight = crate::node::total_weight(nodes);
        let has_room = |node: usize| {
            self.loads[node] < capacity(self.factor, u64::from(nodes[node].weight), total_weight, total_load)
        };
        self.ring.lookup_where(key, has_room)
    }

    /// Places one item of `key` and counts it.
    pub fn acquire(&mut self, key: &[u8]) -> Option<usize> {
        let node = self.lookup(key)?;
        self.loads[node] += 1;
        Some(node)
    }

    /// Takes one item back from a node, by name because indices change with the nodes.
    ///
    /// # Errors
    /// [`Error::UnknownNode`]; a node that holds nothing stays at nothing.
    pub fn release(&mut self, name: &str) -> Result<(), Error> {
        let node = self.ring.position(name).ok_or_else(|| Error::UnknownNode(name.to_owned()))?;
        self.loads[node] = self.loads[node].saturating_sub(1);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ring(weights: &[u32], factor: f64) -> BoundedLoadRing {
        let nodes = weights.iter().zip(0..).map(|(&weight, index)| Node::new(format!("n{index}"), weight));
        BoundedLoadRing::new(RingKind::Ketama, nodes.collect(), factor).unwrap()
    }

    #[test]
    fn one_hot_key_spreads_over_the_ring() {
        let mut ring = ring(&[1, 1, 1, 1], 1.25);
        for _ in 0..100 {
            ring.acquire(b"hot").unwrap();
        }
        assert_eq!(ring.loads().iter().sum::<u64>(), 100);
        assert!(ring.loads().iter().all(|&load| load <= 32), "{:?}", ring.loads());
    }

    #[test]
    fn a_released_item_makes_room_at_home() {
        let mut ring = ring(&[1, 1], 1.1);
        let home = ring.acquire(b"key").unwrap();
        let name = ring.ring().nodes()[home].name.clone();
        assert_ne!(ring.lookup(b"key"), None);
        ring.acquire(b"key").unwrap();
        ring.release(&name).unwrap();
        assert_eq!(ring.lookup(b"key"), Some(home));
        assert_eq!(ring.release("other"), Err(Error::UnknownNode("other".into())));
    }

    #[test]
    fn a_factor_must_leave_room() {
        for factor in [1.0, 0.5, f64::NAN, f64::INFINITY] {
            assert!(matches!(
                BoundedLoadRing::new(RingKind::Jump, vec![], factor),
                Err(Error::LoadFactor(_))
            ));
        }
    }

    #[test]
    fn loads_follow_their_nodes_when_one_leaves() {
        let mut ring = ring(&[1, 1, 1], 9.0);
        let node = ring.acquire(b"key").unwrap();
        let name = ring.ring().nodes()[node].name.clone();
        let other = ring.ring().nodes()[(node + 1) % 3].name.clone();
        ring.remove(&other).unwrap();
        assert_eq!(ring.loads()[ring.ring().position(&name).unwrap()], 1);
    }
}
