//! # trunkline-filter: The gateway's filter chain: authentication, limits, CORS, rewriting. No sockets.
#![forbid(unsafe_code)]

pub mod plan;
