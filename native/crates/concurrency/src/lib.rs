//! # trunkline-concurrency: how much may be under way at once
//!
//! A [`Limit`] stands in front of something that can be overloaded: a pool, a route, an API. It admits so many requests, lets a
//! bounded number wait, and refuses the rest at once, so that what is slow takes nothing from what is not. How many is either
//! fixed (a bulkhead) or found by measuring (Gradient2, see `gradient2.rs`). Shared between threads by `Arc`; admitting is one
//! compare-and-swap, an answer four atomic additions, and a lock is taken once in each window of samples.
//!
//! Promises: never more than the limit under way; a [`Permit`] that is dropped gives its place back, whatever became of its
//! request. Does not wait and does not wake: whoever waits holds a [`Place`] and asks again when something was given back.
//! `now_ns` is any monotonic count of nanoseconds; no clock is read here.
//!
//! ```
//! use std::sync::Arc;
//! use trunkline_concurrency::{Entry, Limit, Settings};
//!
//! let limit = Arc::new(Limit::new(Settings { queue: 1, ..Settings::fixed(1) })?);
//! let Entry::Admitted(first) = limit.enter() else { panic!("it is empty") };
//! let Entry::Queued(place) = limit.enter() else { panic!("one may wait") };
//! assert!(matches!(limit.enter(), Entry::Refused));
//! assert!(place.try_enter().is_none());
//! first.answered(2_000_000, 1_000_000);
//! assert!(place.try_enter().is_some());
//! # Ok::<(), trunkline_concurrency::Error>(())
//! ```
#![forbid(unsafe_code)]

mod average;
mod error;
mod gradient2;
mod limit;
pub mod plan;
mod settings;
mod window;

pub use error::Error;
pub use gradient2::{Gradient2, Sample};
pub use limit::{Entry, Limit, Permit, Place, Report};
pub use settings::{Gradient2Settings, QueueSize, Rule, Settings};
