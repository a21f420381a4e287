//! Why a ring cannot be built or changed as asked.

/// Every error of this crate; each is the caller's to mend, none is worth a retry.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Two nodes of one ring share a name.
    #[error("node {0:?} is in the ring already")]
    DuplicateNode(String),
    /// The node to remove or to change is not in the ring.
    #[error("node {0:?} is not in the ring")]
    UnknownNode(String),
    /// A node has the empty string for a name.
    #[error("a node needs a name")]
    EmptyName,
    /// The sum of weights would make a ketama ring of unreasonable size.
    #[error("total weight {total} is above {limit}: divide all weights by a common factor")]
    TooHeavy {
        /// Sum of the weights asked for.
        total: u64,
        /// Largest sum accepted.
        limit: u64,
    },
    /// A Maglev table must have a prime number of slots, at least one for each node.
    #[error("table size {size} is not a prime between {nodes} (the number of nodes) and {limit}")]
    TableSize {
        /// Slots asked for.
        size: u32,
        /// Nodes that need a slot.
        nodes: usize,
        /// Largest table accepted.
        limit: u32,
    },
    /// The load factor of a bounded-load ring must leave room: a finite number above 1.
    #[error("load factor {0} is not a finite number above 1")]
    LoadFactor(f64),
    /// No ring is called like this.
    #[error("unknown ring {0:?}: use ketama, maglev, jump, rendezvous or modulo")]
    UnknownKind(String),
}
