//! An authoritative DNS server without its sockets: messages in, messages out.
//!
//! `query` reads a request, `zones` finds the zone, `zone` the name in it, `answer` decides, `message` writes. Zones come from
//! `zonefile`. Nothing here waits, and but for proofs of NSEC nothing allocates for a query.

#![forbid(unsafe_code)]

pub mod answer;
mod denial;
pub mod edns;
pub mod message;
pub mod name;
pub mod query;
pub mod rtype;
pub mod zone;
pub mod zonefile;
pub mod zones;

pub use answer::{Carrier, Identity, Outcome, Rcode, answer};
pub use zone::Zone;
pub use zones::Zones;
