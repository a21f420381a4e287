//! # trunkline-compress: gzip, brotli and zstd for responses
//!
//! Three questions, one file each: which coding does this client want ([`Policy::accepts`], when the request is here), may this
//! response have it ([`Policy::decide`], when its head is here), and what does the head say then ([`Decision::keeps`],
//! [`Decision::lines`]). The body goes through an [`Encoder`], which [`Encoders`] keeps for the next response.
//!
//! Promises: after [`Encoder::flush`] everything pushed so far can be decoded, so that a long response streams; nothing a peer
//! sends can panic; an encoder's memory has a bound that does not depend on the body (`tests/memory.rs` measures it). Does not
//! know connections: whoever calls decides when to flush, frames the body, and leaves HEAD without one.
//!
//! ```
//! use trunkline_compress::{Coding, Decision, Encoders, Policy, plan::Compression};
//!
//! let policy = Policy::compile(&Compression::default()).map_err(|errors| errors[0].to_string())?;
//! let wanted = policy.accepts([&b"gzip, br;q=0.5"[..]]);
//! let head = [("Content-Type", &b"application/json"[..])];
//! let decision = policy.decide(wanted, 200, Some(40_000), head.into_iter());
//! assert_eq!(decision, Decision::Encode(Coding::Gzip));
//! let (mut encoders, mut out) = (Encoders::default(), Vec::new());
//! let mut encoder = encoders.take(Coding::Gzip, policy.levels()).map_err(|error| error.to_string())?;
//! encoder.push(b"{\"answer\":42}", &mut out).map_err(|error| error.to_string())?;
//! encoder.finish(&mut out).map_err(|error| error.to_string())?;
//! encoders.give_back(encoder);
//! # Ok::<(), String>(())
//! ```
#![forbid(unsafe_code)]

mod accept;
mod coding;
mod encoder;
mod encoders;
mod error;
mod head;
mod media;
pub mod plan;
mod policy;
mod streams;

pub use coding::Coding;
pub use encoder::Encoder;
pub use encoders::Encoders;
pub use error::Error;
pub use head::Decision;
pub use plan::Levels;
pub use policy::Policy;
