//! # trunkline-http: HTTP/1.1 as bytes in, events out. No sockets, no clock, no allocation per message.
//!
//! Strict on purpose: whatever two parsers could read differently is refused with a [`Reason`] (RFC 9110, RFC 9112).
//! Reading order: [`head`] (what is found), `request` and `response` (how), [`chunk`] (bodies), [`encode`] (the way out).
#![forbid(unsafe_code)]

pub mod chunk;
pub mod encode;
pub mod error;
mod fields;
pub mod head;
mod lines;
mod request;
mod response;
mod target;

pub use error::{Reason, Reject};
pub use fields::{classify, connection_options, content_length, may_switch, reads_as};
pub use head::{
    Field, Framing, Header, HeaderBuffer, Limits, MAX_HEADERS, RequestHead, ResponseHead, Version, find,
};
pub use lines::is_token;
pub use request::parse_request;
pub use response::{Answers, parse_response};
pub use target::{Target, host_of, is_authority, normalise, parse as parse_target};
