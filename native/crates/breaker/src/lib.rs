//! # trunkline-breaker: circuit breaker, outlier ejection, retry budget
//!
//! Three ways to stop pouring requests onto what is broken: a [`Breaker`] in front of one dependency, [`Outliers`] over
//! the servers of a pool, a [`RetryBudget`] over a client's retries. All are shared between threads by reference; `now_ns`
//! is any monotonic count of nanoseconds, no clock is read here.
//!
//! ```
//! use trunkline_breaker::{Breaker, Outcome, Settings};
//! const SECOND: u64 = 1_000_000_000;
//! let breaker = Breaker::new(Settings { consecutive_failures: Some(2), open_ns: 5 * SECOND, ..Settings::default() })?;
//! for _ in 0..2 {
//!     let permit = breaker.acquire(0).expect("closed");
//!     breaker.record(permit, 0, Outcome::Failure, 1_000_000);
//! }
//! assert_eq!(breaker.acquire(SECOND).unwrap_err().retry_after_ns, 4 * SECOND);
//! # Ok::<(), trunkline_breaker::BreakerError>(())
//! ```
#![forbid(unsafe_code)]

mod breaker;
mod error;
mod outliers;
mod probes;
mod retry_budget;
mod settings;
mod window;

pub use breaker::{Breaker, Counts, Open, Outcome, Permit, Phase};
pub use error::BreakerError;
pub use outliers::{Ejection, OutlierSettings, Outliers, Reason, ServerReport};
pub use retry_budget::{RetryBudget, RetryBudgetSettings};
pub use settings::Settings;
