//! # trunkline-hashring: which node a key belongs to, with few keys moving when the nodes change.
//!
//! | kind | shares | keys moved when 1 of n nodes goes | memory | lookup |
//! |---|---|---|---|---|
//! | [`Ketama`](RingKind::Ketama) | ± 12 % | 1/n | 2 KB per unit of weight | a short search |
//! | [`Maglev`](RingKind::Maglev) | within one slot | 1/n and a few | 4 bytes per slot | one load |
//! | [`Jump`](RingKind::Jump) | exact on average | 1/n (last node), 2/n (others) | none | O(log n) |
//! | [`Rendezvous`](RingKind::Rendezvous) | exact on average | 1/n | 16 bytes per node | O(n) |
//! | [`Modulo`](RingKind::Modulo) | exact on average | almost all | none | one division |
//!
//! [`Ring`] is the one interface to all of them; [`BoundedLoadRing`] adds a ceiling on the load of each node.
//! Promises: the answer depends only on the nodes and the key (never on process, platform or insertion history, but
//! for the order of nodes in `Jump` and `Modulo`), and a lookup never allocates and never panics. Does not do: health,
//! draining, retries; that is the `balance` crate, which passes them in through [`Ring::lookup_where`].
//!
//! ```
//! use trunkline_hashring::{Node, Ring, RingKind};
//! let ring = Ring::new(RingKind::Ketama, vec![Node::new("10.0.0.1:80", 1), Node::new("10.0.0.2:80", 2)])?;
//! let node = ring.lookup(b"user-42").map(|index| ring.nodes()[index].name.as_str());
//! assert_eq!(node, Some("10.0.0.1:80"));
//! # Ok::<(), trunkline_hashring::Error>(())
//! ```

#![forbid(unsafe_code)]

mod bounded_load;
mod error;
mod hash;
mod jump;
mod ketama;
mod maglev;
mod modulo;
mod node;
mod rendezvous;
mod ring;
mod slots;

pub use bounded_load::{BoundedLoadRing, capacity};
pub use error::Error;
pub use hash::{mix64, xxh64};
pub use jump::jump;
pub use maglev::{DEFAULT_TABLE_SIZE, populate};
pub use node::Node;
pub use ring::{Ring, RingKind};
