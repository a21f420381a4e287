//! # trunkline-traffic: which pool gets a request, and which others get it too
//!
//! A [`Split`] divides a route's requests over pools by weight, at random or by a key of the client; a [`Mirror`] says which requests
//! are copied to a second pool; a [`Hedge`] says when a request that waits is tried a second time. All three only decide: whoever
//! calls sends, and knows what may be sent twice.
//!
//! Promises: of any N requests in a row every share gets its part of N, give or take a few (see `share.rs`); nothing is locked,
//! shared or drawn: a decision is a multiplication with the worker's own count of requests. `turn` is that count.
//!
//! ```
//! use trunkline_traffic::{Split, plan};
//!
//! let share = |pool: &str, weight| plan::Share { pool: pool.into(), weight };
//! let split = Split::compile(&[share("stable", 90), share("canary", 10)], "lb.front.shop")?;
//! let canary = (0..1_000).filter(|turn| split.choose(*turn) == 1).count();
//! assert!((98..=102).contains(&canary));
//! assert_eq!(split.choose_by(b"alice"), split.choose_by(b"alice"));
//! # Ok::<(), trunkline_traffic::Error>(())
//! ```
#![forbid(unsafe_code)]

mod error;
mod hedge;
mod mirror;
pub mod plan;
mod share;
mod split;

pub use error::Error;
pub use hedge::Hedge;
pub use mirror::Mirror;
pub use split::Split;
