//! A zone, compiled: every name in one hash table, every RRset as the bytes that an answer copies. Immutable; a change makes a new one.
//!
//! ```text
//!   index ──▶ Node { name, parent, sets, flags }       one per name, empty non-terminals with them
//!                └──▶ Set { type, place in `bytes` }   one per RRset, its signatures right behind it
//!   bytes: names in lower case, RRsets in wire form with pointers to their owner at 12, where a question has it
//! ```

mod builder;
mod chain;
mod set;

use ahash::RandomState;
use hashbrown::HashTable;

pub use builder::{Builder, Error};
pub(crate) use set::RECORD_HEAD_BYTES;
pub use set::Set;

use crate::{name, rtype};
use chain::Chain;

/// No node.
const NOWHERE: u32 = u32::MAX;

/// See the module.
#[derive(Debug)]
pub struct Zone {
    /// In lower case.
    apex: Box<[u8]>,
    bytes: Box<[u8]>,
    nodes: Box<[Node]>,
    sets: Box<[Set]>,
    index: HashTable<u32>,
    hasher: RandomState,
    record_count: usize,
    chain: Chain,
}

/// A name.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    name: u32,
    first_set: u32,
    parent: u32,
    set_count: u16,
    name_bytes: u8,
    flags: u8,
}

/// Has NS records and is not the apex: what is below belongs to another zone.
const CUT: u8 = 1;
/// Has a DNAME: what is below is elsewhere.
const REDIRECTED: u8 = 2;
/// Below one of both: glue, or data that is never an answer.
const OCCLUDED: u8 = 4;
/// Has a child `*`.
const WILD: u8 = 8;
/// Has NSEC3 records and nothing else: no name of the zone (RFC 5155 §7.2.8).
const HASHED: u8 = 16;

/// Where a name leads (RFC 1034 §4.3.2, RFC 4592, RFC 6672).
#[derive(Debug, Clone, Copy)]
pub enum Found<'z> {
    Exact(&'z Node),
    /// Made of the wildcard below the closest encloser.
    Wildcard(&'z Node),
    Delegation(&'z Node),
    Redirection(&'z Node),
    /// The closest encloser.
    Nothing(&'z Node),
}

impl Zone {
    pub fn apex(&self) -> &[u8] {
        &self.apex
    }

    pub fn record_count(&self) -> usize {
        self.record_count
    }

    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Bytes on the heap.
    pub fn memory(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.nodes) + size_of_val(&*self.sets) + self.index.allocation_size()
    }

    /// SOA serial (RFC 1035 §3.3.13).
    pub fn serial(&self) -> u32 {
        self.soa_number(0)
    }

    /// How long a negative answer may be kept (RFC 2308 §5).
    pub fn negative_ttl(&self) -> u32 {
        let ttl = self.soa().and_then(|soa| soa.ttl(&self.bytes)).unwrap_or(0);
        self.soa_number(4).min(ttl)
    }

    pub fn soa(&self) -> Option<&Set> {
        self.set(self.nodes.first()?, rtype::SOA)
    }

    /// The numbers that end a SOA: serial, refresh, retry, expire, minimum.
    fn soa_number(&self, index: usize) -> u32 {
        let soa = self.soa().map(|soa| soa.wire(&self.bytes)).unwrap_or_default();
        let at = (soa.len() + 4 * index).checked_sub(20);
        let number = at.and_then(|at| soa.get(at..at + 4)).and_then(|bytes| bytes.try_into().ok());
        number.map_or(0, u32::from_be_bytes)
    }

    /// Where a name leads that is at or below the apex; in lower case.
    pub fn find(&self, wanted: &[u8]) -> Option<Found<'_>> {
        if let Some(node) = self.node(wanted).filter(|node| !node.is(HASHED)) {
            return Some(if node.is(OCCLUDED) { self.above(node) } else { Found::Exact(node) });
        }
        let mut ancestor = name::parent(wanted);
        while let Some(candidate) = ancestor {
            if let Some(encloser) = self.node(candidate) {
                return Some(self.below(encloser));
            }
            ancestor = name::parent(candidate);
        }
        None
    }

    /// What becomes of a name that does not exist, by its closest encloser.
    fn below<'z>(&'z self, encloser: &'z Node) -> Found<'z> {
        if encloser.is(OCCLUDED) {
            return self.above(encloser);
        }
        if encloser.is(CUT) {
            return Found::Delegation(encloser);
        }
        if encloser.is(REDIRECTED) {
            return Found::Redirection(encloser);
        }
        if encloser.is(WILD)
            && let Some(wildcard) = self.wildcard(encloser)
        {
            return Found::Wildcard(wildcard);
        }
        Found::Nothing(encloser)
    }

    /// The cut or redirection that hides a node.
    fn above<'z>(&'z self, mut node: &'z Node) -> Found<'z> {
        while node.is(OCCLUDED)
            && let Some(parent) = self.nodes.get(node.parent as usize)
        {
            node = parent;
        }
        if node.is(CUT) { Found::Delegation(node) } else { Found::Redirection(node) }
    }

    fn wildcard(&self, encloser: &Node) -> Option<&Node> {
        let suffix = self.name(encloser);
        let mut text = [0; name::MAX_NAME_BYTES + 2];
        text[..2].copy_from_slice(b"\x01*");
        text.get_mut(2..2 + suffix.len())?.copy_from_slice(suffix);
        self.node(text.get(..2 + suffix.len())?)
    }

    /// The node of exactly this name, in lower case.
    pub fn node(&self, wanted: &[u8]) -> Option<&Node> {
        let hash = self.hasher.hash_one(wanted);
        let is_it =
            |&index: &u32| self.nodes.get(index as usize).is_some_and(|node| self.name(node) == wanted);
        self.index.find(hash, is_it).and_then(|&index| self.nodes.get(index as usize))
    }

    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// In lower case.
    pub fn name(&self, node: &Node) -> &[u8] {
        let at = node.name as usize;
        self.bytes.get(at..at + usize::from(node.name_bytes)).unwrap_or_default()
    }

    /// The RRsets of a node by type, each followed by its signatures.
    pub fn sets(&self, node: &Node) -> &[Set] {
        let first = node.first_set as usize;
        self.sets.get(first..first + usize::from(node.set_count)).unwrap_or_default()
    }

    pub fn set(&self, node: &Node, rtype: u16) -> Option<&Set> {
        self.sets(node).iter().find(|set| set.rtype() == rtype && !set.is_signatures())
    }

    /// The signatures of an RRset.
    pub fn signatures(&self, node: &Node, rtype: u16) -> Option<&Set> {
        self.sets(node).iter().find(|set| set.rtype() == rtype && set.is_signatures())
    }

    /// What RRsets refer to.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Node {
    fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub fn is_cut(&self) -> bool {
        self.is(CUT)
    }

    pub fn name_bytes(&self) -> usize {
        usize::from(self.name_bytes)
    }
}
