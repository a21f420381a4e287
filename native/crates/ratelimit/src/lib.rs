//! # trunkline-ratelimit: rate limiters, single and keyed
//!
//! Six algorithms over one [`Quota`] and one 24-byte [`State`], one file each. A [`Limiter`] is one shared state, a
//! [`KeyedLimiter`] a bounded table of them. `now_ns` is any monotonic count of nanoseconds; no clock is read here.
//!
//! | algorithm | holds back | at most in any period | smooth | a refused caller |
//! |---|---|---|---|---|
//! | [`Algorithm::TokenBucket`] | after `burst` at once | limit + burst | yes | retries after the refill |
//! | [`Algorithm::LeakyMeter`] | the same, mirrored | limit + burst | yes | retries after the drain |
//! | [`Algorithm::Gcra`] | the same, as one timestamp | limit + burst | yes | retries at a known instant |
//! | [`Algorithm::LeakyQueue`] | everyone: calls leave evenly spaced | limit + burst | perfectly | only when `burst` wait |
//! | [`Algorithm::FixedWindow`] | after `limit` in a window | 2 x limit | no | waits for the next window |
//! | [`Algorithm::SlidingWindow`] | after `limit` in the last period, estimated | 2 x limit | nearly | waits for the estimate |
//!
//! Promises, for all of them: integer arithmetic without rounding between calls, so nothing drifts; a refused call
//! takes nothing; `retry_after_ns` is the earliest instant at which the same call would be admitted, exactly; a clock that
//! stands still admits nothing more, one that steps back is never rewarded.
//!
//! ```
//! use trunkline_ratelimit::{Algorithm, Limiter, Quota};
//! const SECOND: u64 = 1_000_000_000;
//! let limiter = Limiter::new(Quota::new(Algorithm::TokenBucket, 10, SECOND, Some(2))?);
//! assert!(limiter.check(0, 1).allowed);
//! assert!(limiter.check(0, 1).allowed);
//! assert_eq!(limiter.check(0, 1).retry_after_ns, SECOND / 10);
//! # Ok::<(), trunkline_ratelimit::QuotaError>(())
//! ```
#![forbid(unsafe_code)]

mod arithmetic;
mod decision;
mod fixed_window;
mod gcra;
mod keyed;
mod leaky_meter;
mod leaky_queue;
mod level;
mod limiter;
mod quota;
mod sliding_window;
mod state;
mod table;
mod token_bucket;

pub use decision::Decision;
pub use keyed::KeyedLimiter;
pub use limiter::Limiter;
pub use quota::{Algorithm, Quota, QuotaError};
pub use state::State;
