//! # trunkline-filter: what a gateway does to a request before and after the upstream sees it
//!
//! A route's [`Chain`] runs its filters in the order of the plan: request id, address lists, CORS, API keys, JWT, rate limits,
//! circuit breakers, header edits, redirects, fixed answers, maintenance, size limits. What they decide stands in an [`Exchange`], which lives as long as the request;
//! a [`Rewrite`] then makes the upstream's target, host and headers. Bytes and numbers in, edits and verdicts out: no sockets,
//! and no clock (`now_ns` is any monotonic count of nanoseconds; [`WallClock`] translates it for tokens that expire).
//!
//! Reading order: [`plan`] (what people ask for), `chain` (the order of things), `exchange` and `edits` (what it leaves behind),
//! then `filters/`, one file each; `sticky` beside them is a pool's. `environment` holds what outlives a chain: consumers, limiters, breakers.
//!
//! Promises: nothing a peer sends can panic, put a CR, LF or NUL into a header or a target, or grow memory without bound; a
//! secret never shows in `Debug` output or in an error.
#![forbid(unsafe_code)]

mod chain;
mod clock;
mod consumers;
mod digest;
mod edits;
mod environment;
mod error;
mod exchange;
mod explain;
mod filters;
mod header_edits;
mod networks;
mod path_rewrite;
mod percent;
pub mod plan;
mod query;
mod reason;
mod request;
mod rewrite;
mod secret;
mod shared;
mod static_response;
mod sticky;
mod template;
mod verdict;

pub use chain::Chain;
pub use clock::WallClock;
pub use consumers::Consumers;
pub use edits::Edits;
pub use environment::{BreakerStatus, Environment, LimiterStatus, Registry};
pub use error::Error;
pub use exchange::Exchange;
pub use explain::{Explained, Outlook};
pub use filters::request_id::RequestIds;
pub use networks::Networks;
pub use query::is_named;
pub use reason::Reason;
pub use request::Request;
pub use rewrite::Rewrite;
pub use secret::Secret;
pub use sticky::{Remembered, Sticky};
pub use verdict::{Refusal, Verdict};
