//! # trunkline-http: HTTP/1.1 as bytes in, events out. No sockets, no clock, no allocation per message.
//!
//! Strict on purpose: whatever two parsers could read differently is refused with a [`Reason`] (RFC 9110, RFC 9112).
#![forbid(unsafe_code)]

pub mod error;
pub mod head;

pub use error::{Reason, Reject};
pub use head::{Field, Framing, Header, RequestHead, ResponseHead, Version, find};
