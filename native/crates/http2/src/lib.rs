//! # trunkline-http2: HTTP/2 as bytes in, events out, for both roles. No sockets, no clock, no allocation per frame.
//!
//! RFC 9113, RFC 7541 (HPACK) and RFC 8441 (extended CONNECT). Priorities (RFC 9113 §5.3.2) are checked and ignored; there is no push.
//! Reading order: [`event`] (what is told), [`Connection`] (what can be done), `stream` (the states), [`Fields`] (heads),
//! [`limits`] (floods), [`hpack`].
#![forbid(unsafe_code)]

mod connection;
pub mod error;
pub mod event;
mod fields;
mod frame;
pub mod hpack;
mod kind;
pub mod limits;
mod message;
mod output;
mod settings;
mod stream;
mod window;

pub use connection::Connection;
pub use error::{ConnectionError, ErrorCode, Gone};
pub use event::Event;
pub use fields::Fields;
pub use kind::Malformed;
pub use limits::{Counters, Limits, Rate};
pub use settings::{PeerSettings, Role, Settings};
